-- Adds the words of a changed name. For the planner settings see projects_facets_add.
CREATE OR REPLACE FUNCTION projects_name_words() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  INSERT INTO name_words (word)
    SELECT typed FROM typo_words(fold_accents(NEW.name)) AS typed
    WHERE (SELECT count(*) FROM name_words WHERE word = typed) = 0;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_name_words AFTER UPDATE ON projects FOR EACH ROW
WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION projects_name_words();
