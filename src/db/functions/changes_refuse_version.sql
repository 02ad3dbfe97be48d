-- Raises the error for a row that does not continue its history (changes_may_follow). 40001
-- (serialization_failure) tells the caller that a retry succeeds.
CREATE OR REPLACE FUNCTION changes_refuse_version(entity text, id uuid, last_version integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
  RAISE serialization_failure USING
    MESSAGE = format('The history of the %s %s goes up to version %s already.', entity, id, last_version),
    HINT = 'Try again. If you give the version yourself, give a later one.';
END
$$;
