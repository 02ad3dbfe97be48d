-- Keeps the tables of the lists in step with deleted projects. For the planner settings see
-- projects_facets_add. The words of names stay (see name_words in schema.ts).
CREATE OR REPLACE FUNCTION projects_facets_remove() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  DELETE FROM project_technologies WHERE ctid = ANY (ARRAY(
    SELECT (
      SELECT gone.ctid FROM project_technologies AS gone
      WHERE technology = item AND gone.created_at = removed.created_at AND project_id = removed.id
    ) FROM removed, jsonb_array_elements_text(removed.technologies) AS item
  ));
  INSERT INTO technology_changes (technologies, changes, is_due)
    SELECT array_agg(item), array_agg(-1), fold_is_due(count(*))
    FROM removed, jsonb_array_elements_text(technologies) AS item HAVING count(*) > 0;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_facets_remove AFTER DELETE ON projects
REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION projects_facets_remove();
