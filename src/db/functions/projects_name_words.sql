-- Records a changed name. A fold adds its words to name_words later.
CREATE OR REPLACE FUNCTION projects_name_words() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
  note bigint;
BEGIN
  INSERT INTO technology_changes (names, entries) VALUES (ARRAY[NEW.name], 1) RETURNING id INTO note;
  IF fold_is_due(note, 1) THEN
    UPDATE technology_changes SET is_due = true WHERE id = note;
  END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_name_words AFTER UPDATE ON projects FOR EACH ROW
WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION projects_name_words();
