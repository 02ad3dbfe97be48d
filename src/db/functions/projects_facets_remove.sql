-- Keeps the tables of the lists in step with deleted projects. For the planner settings see
-- projects_facets_add. The words of names stay (see name_words in schema.ts).
CREATE OR REPLACE FUNCTION projects_facets_remove() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
BEGIN
  DELETE FROM project_technologies WHERE ctid = ANY (ARRAY(
    SELECT (
      SELECT gone.ctid FROM project_technologies AS gone
      WHERE technology = item AND gone.created_at = removed.created_at AND project_id = removed.id
    ) FROM removed, jsonb_array_elements_text(removed.technologies) AS item
  ));
  INSERT INTO technology_changes (technology, change)
    SELECT item, -count(*) FROM removed, jsonb_array_elements_text(technologies) AS item GROUP BY item;
  PERFORM fold_technology_changes_now_and_then();
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_facets_remove AFTER DELETE ON projects
REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION projects_facets_remove();
