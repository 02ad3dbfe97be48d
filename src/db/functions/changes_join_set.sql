-- Completes a change. The changes to one entity in one transaction share a change_set, the sequence of
-- the first of them. The setting that holds it names the transaction: a value from anywhere else would
-- hide changes from the feed. The author is the one of this write, or else the one of the transaction.
CREATE OR REPLACE FUNCTION changes_join_set() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  set_name text := 'changes.set_' || encode(convert_to(NEW.entity, 'UTF8'), 'hex');
  own text := pg_current_xact_id()::text || ':';
  known text := current_setting(set_name, true);
BEGIN
  IF starts_with(known, own) THEN
    NEW.change_set := substr(known, length(own) + 1)::bigint;
  ELSE
    NEW.change_set := NEW.sequence;
    PERFORM set_config(set_name, own || NEW.sequence, true);
  END IF;
  NEW.actor := coalesce(nullif(current_setting('audit.write_actor', true), ''), current_setting('audit.actor', true), '');
  NEW.request_id := coalesce(nullif(current_setting('audit.write_request_id', true), ''), current_setting('audit.request_id', true), '');
  RETURN NEW;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER changes_join_set BEFORE INSERT ON changes
FOR EACH ROW EXECUTE FUNCTION changes_join_set();
