-- Returns the version of a created row. Raises an error if the row does not continue the history of its id
-- (changes_may_follow). 40001 (serialization_failure) tells the caller that a retry succeeds.
CREATE OR REPLACE FUNCTION changes_checked_version(created_entity text, id uuid, created_version integer, document json)
RETURNS integer LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  last record;
BEGIN
  SELECT version, action, before INTO last FROM changes
    WHERE entity_id = id AND entity = created_entity ORDER BY sequence DESC LIMIT 1;
  IF NOT changes_may_follow(last.version, last.action, last.before, created_version, document) THEN
    RAISE serialization_failure USING
      MESSAGE = format('The history of the %s %s goes up to version %s already.', created_entity, id, last.version),
      HINT = 'Try again. If you give the version yourself, give a later one.';
  END IF;
  RETURN created_version;
END
$$;
