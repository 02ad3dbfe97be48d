-- Empties the tables of the lists after a TRUNCATE of projects.
CREATE OR REPLACE FUNCTION projects_facets_clear() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
  TRUNCATE project_technologies, technology_counts, technology_changes, name_words;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_facets_clear AFTER TRUNCATE ON projects
FOR EACH STATEMENT EXECUTE FUNCTION projects_facets_clear();
