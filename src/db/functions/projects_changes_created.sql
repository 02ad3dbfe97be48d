-- Records the history of inserted projects.
CREATE OR REPLACE FUNCTION projects_changes_created() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
  INSERT INTO changes (entity, entity_id, version, action, after)
    SELECT 'project', id, version, 'created',
      project_document(id, name, description, technologies, created_at, updated_at, version)
    FROM added;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_changes_created AFTER INSERT ON projects
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION projects_changes_created();
