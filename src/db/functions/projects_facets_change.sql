-- Keeps the tables of the lists in step with an updated project. For the planner settings see
-- projects_facets_add.
CREATE OR REPLACE FUNCTION projects_facets_change() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  note bigint;
  noted integer;
BEGIN
  DELETE FROM project_technologies
    WHERE technology = ANY (ARRAY(SELECT jsonb_array_elements_text(OLD.technologies)))
      AND created_at = OLD.created_at AND project_id = OLD.id;
  INSERT INTO project_technologies (technology, created_at, project_id)
    SELECT jsonb_array_elements_text(NEW.technologies), NEW.created_at, NEW.id;
  INSERT INTO technology_changes (technologies, changes, entries)
    VALUES (ARRAY[OLD.technologies, NEW.technologies], ARRAY[-1, 1],
      jsonb_array_length(OLD.technologies) + jsonb_array_length(NEW.technologies))
    RETURNING id, entries INTO note, noted;
  IF fold_is_due(note, noted) THEN
    UPDATE technology_changes SET is_due = true WHERE id = note;
  END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_facets_change AFTER UPDATE ON projects FOR EACH ROW
WHEN (OLD.technologies IS DISTINCT FROM NEW.technologies OR OLD.id <> NEW.id)
EXECUTE FUNCTION projects_facets_change();
