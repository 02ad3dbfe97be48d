-- Notes a changed name, whose words a fold adds to name_words.
CREATE OR REPLACE FUNCTION projects_name_words() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
  INSERT INTO technology_changes (names, is_due) VALUES (ARRAY[NEW.name], fold_is_due(1));
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_name_words AFTER UPDATE ON projects FOR EACH ROW
WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION projects_name_words();
