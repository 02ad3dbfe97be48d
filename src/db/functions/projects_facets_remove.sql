-- Keeps the tables of the lists in step with deleted projects. For the planner settings see
-- projects_facets_add. The words of names stay (see name_words in schema.ts).
CREATE OR REPLACE FUNCTION projects_facets_remove() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  note bigint;
  noted integer;
BEGIN
  DELETE FROM project_technologies WHERE ctid = ANY (ARRAY(
    SELECT (
      SELECT gone.ctid FROM project_technologies AS gone
      WHERE technology = item AND gone.created_at = removed.created_at AND project_id = removed.id
    ) FROM removed, jsonb_array_elements_text(removed.technologies) AS item
  ));
  INSERT INTO technology_changes (technologies, changes, entries)
    SELECT array_agg(technologies), array_agg(-1), sum(jsonb_array_length(technologies))
    FROM removed HAVING sum(jsonb_array_length(technologies)) > 0
    RETURNING id, entries INTO note, noted;
  IF fold_is_due(note, noted) THEN
    UPDATE technology_changes SET is_due = true WHERE id = note;
  END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_facets_remove AFTER DELETE ON projects
REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION projects_facets_remove();
