-- A row that is created goes on from the version of the last row that had its id, or one ETag would name
-- two rows. The writer's own look at the history may be too early: while its INSERT waits for another
-- transaction, that one may write and delete the row. This function runs after the wait and sees what
-- was committed. 40001 (serialization_failure) tells the caller that a retry succeeds. A deleted row may
-- come back exactly as it was, for then its ETag names the same content.
CREATE OR REPLACE FUNCTION changes_check_version() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
  last record;
BEGIN
  SELECT version, action, before INTO last FROM changes
    WHERE entity_id = NEW.entity_id AND entity = NEW.entity ORDER BY sequence DESC LIMIT 1;
  IF last.version >= NEW.version AND NEW.version <> next_version(last.version)
    AND NOT (last.action = 'deleted' AND last.version = next_version(NEW.version) AND last.before::text = NEW.after::text)
  THEN
    RAISE serialization_failure USING
      MESSAGE = format('The history of the %s %s goes up to version %s already.', NEW.entity, NEW.entity_id, last.version),
      HINT = 'Try again. If you give the version yourself, give a later one.';
  END IF;
  RETURN NEW;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER changes_check_version BEFORE INSERT ON changes
FOR EACH ROW WHEN (NEW.action = 'created') EXECUTE FUNCTION changes_check_version();
