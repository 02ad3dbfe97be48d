-- Empties the tables of the lists after a TRUNCATE of projects. They are locked in the order of fold_technology_changes,
-- so that the two cannot wait for each other.
CREATE OR REPLACE FUNCTION projects_facets_clear() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
  TRUNCATE project_technologies, technology_changes, technology_counts, name_words;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_facets_clear AFTER TRUNCATE ON projects
FOR EACH STATEMENT EXECUTE FUNCTION projects_facets_clear();
