-- Keeps the tables of the lists in step with an updated project, and records a changed name, whose words a fold adds
-- to name_words. For the planner settings see projects_facets_add.
--
-- The trigger has no condition, because PostgreSQL reads the text of a condition again for each statement. The first
-- IF costs a single update less.
CREATE OR REPLACE FUNCTION projects_facets_change() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  lists jsonb[];
  list_changes integer[];
  new_names text[];
  noted integer;
  note bigint;
BEGIN
  IF OLD.technologies = NEW.technologies AND OLD.name = NEW.name AND OLD.id = NEW.id THEN
    RETURN NULL;
  END IF;
  IF OLD.technologies <> NEW.technologies OR OLD.id <> NEW.id THEN
    DELETE FROM project_technologies
      WHERE technology = ANY (ARRAY(SELECT jsonb_array_elements_text(OLD.technologies)))
        AND created_at = OLD.created_at AND project_id = OLD.id;
    INSERT INTO project_technologies (technology, created_at, project_id)
      SELECT jsonb_array_elements_text(NEW.technologies), NEW.created_at, NEW.id;
    lists := ARRAY[OLD.technologies, NEW.technologies];
    list_changes := ARRAY[-1, 1];
    noted := jsonb_array_length(OLD.technologies) + jsonb_array_length(NEW.technologies);
  END IF;
  IF OLD.name <> NEW.name THEN
    new_names := ARRAY[NEW.name];
    noted := coalesce(noted, 0) + 1;
  END IF;
  INSERT INTO technology_changes (technologies, changes, names, entries)
    VALUES (coalesce(lists, '{}'), coalesce(list_changes, '{}'), coalesce(new_names, '{}'), noted)
    RETURNING id INTO note;
  IF fold_is_due(note, noted) THEN
    UPDATE technology_changes SET is_due = true WHERE id = note;
  END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_facets_change AFTER UPDATE ON projects FOR EACH ROW
EXECUTE FUNCTION projects_facets_change();
