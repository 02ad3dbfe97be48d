-- Gives every change of a transaction the same change_set, which is the sequence of the first change,
-- and the author that note_author was given. The setting names the transaction that it belongs to:
-- a value from anywhere else would hide changes from the feed.
CREATE OR REPLACE FUNCTION changes_join_set() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  own text := pg_current_xact_id()::text || ':';
  noted text := current_setting('projects.change_set', true);
BEGIN
  IF starts_with(noted, own) THEN
    NEW.change_set := substr(noted, length(own) + 1)::bigint;
  ELSE
    NEW.change_set := NEW.sequence;
    PERFORM set_config('projects.change_set', own || NEW.sequence, true);
  END IF;
  NEW.actor := coalesce(current_setting('projects.actor', true), '');
  NEW.request_id := coalesce(current_setting('projects.request_id', true), '');
  RETURN NEW;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER changes_join_set BEFORE INSERT ON changes
FOR EACH ROW EXECUTE FUNCTION changes_join_set();
