-- Gives every change of a transaction the same change_set, which is the sequence of the first change,
-- and the author that note_author was given.
CREATE OR REPLACE FUNCTION changes_join_set() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.change_set := coalesce(nullif(current_setting('projects.change_set', true), '')::bigint, NEW.sequence);
  IF NEW.change_set = NEW.sequence THEN
    PERFORM set_config('projects.change_set', NEW.sequence::text, true);
  END IF;
  NEW.actor := coalesce(current_setting('projects.actor', true), '');
  NEW.request_id := coalesce(current_setting('projects.request_id', true), '');
  RETURN NEW;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER changes_join_set BEFORE INSERT ON changes
FOR EACH ROW EXECUTE FUNCTION changes_join_set();
