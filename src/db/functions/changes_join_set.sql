-- Completes a change that is written with the change_set 0 or without one. The changes to one entity in one
-- transaction share a change_set, which is the sequence of the first of them. The triggers of track_changes write
-- 0 for the first change. A change without a change_set comes from a trigger that a host has written; it gets its
-- author here and is checked. The condition of the trigger is also true for NULL; it is short, because PostgreSQL
-- reads its text again for each statement.
CREATE OR REPLACE FUNCTION changes_join_set() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
  setting text := 'changes.set_' || encode(convert_to(NEW.entity, 'UTF8'), 'hex');
BEGIN
  IF NEW.change_set = 0 THEN
    NEW.change_set := NEW.sequence;
  ELSE
    NEW.change_set := coalesce(changes_known_set(setting), NEW.sequence);
    NEW.actor := changes_author('actor');
    NEW.request_id := changes_author('request_id');
    IF NEW.action = 'created' THEN
      NEW.version := changes_checked_version(NEW.entity, NEW.entity_id, NEW.version, NEW.after);
    END IF;
  END IF;
  setting := set_config(setting, pg_current_xact_id()::text || ':' || NEW.change_set, true);
  RETURN NEW;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER changes_join_set BEFORE INSERT ON changes
FOR EACH ROW WHEN ((NEW.change_set = 0) IS NOT FALSE) EXECUTE FUNCTION changes_join_set();
