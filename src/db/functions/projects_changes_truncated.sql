-- Records the history of a TRUNCATE: every project was deleted.
CREATE OR REPLACE FUNCTION projects_changes_truncated() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
  INSERT INTO changes (entity, entity_id, version, action, before)
    SELECT 'project', id, next_version(version), 'deleted',
      project_document(id, name, description, technologies, created_at, updated_at, version)
    FROM projects;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_changes_truncated BEFORE TRUNCATE ON projects
FOR EACH STATEMENT EXECUTE FUNCTION projects_changes_truncated();
