-- Keeps the tables of the lists in step with an updated project. For the planner settings see
-- projects_facets_add.
CREATE OR REPLACE FUNCTION projects_facets_change() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
BEGIN
  DELETE FROM project_technologies
    WHERE technology = ANY (ARRAY(SELECT jsonb_array_elements_text(OLD.technologies)))
      AND created_at = OLD.created_at AND project_id = OLD.id;
  INSERT INTO project_technologies (technology, created_at, project_id)
    SELECT item, NEW.created_at, NEW.id FROM jsonb_array_elements_text(NEW.technologies) AS item;
  INSERT INTO technology_changes (technologies, changes, is_due)
    SELECT array_agg(technology), array_agg(change), fold_is_due(count(*)) FROM (
      SELECT technology, sum(change)::integer AS change FROM (
        SELECT jsonb_array_elements_text(OLD.technologies), -1
        UNION ALL SELECT jsonb_array_elements_text(NEW.technologies), 1
      ) AS noted (technology, change) GROUP BY technology HAVING sum(change) <> 0
    ) AS summed HAVING count(*) > 0;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_facets_change AFTER UPDATE ON projects FOR EACH ROW
WHEN (OLD.technologies IS DISTINCT FROM NEW.technologies OR OLD.id <> NEW.id)
EXECUTE FUNCTION projects_facets_change();
