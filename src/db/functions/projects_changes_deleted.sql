-- Records the history of deleted projects. A deletion counts as one more version.
CREATE OR REPLACE FUNCTION projects_changes_deleted() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
  INSERT INTO changes (entity, entity_id, version, action, before)
    SELECT 'project', id, next_version(version), 'deleted',
      project_document(id, name, description, technologies, created_at, updated_at, version)
    FROM removed;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_changes_deleted AFTER DELETE ON projects
REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION projects_changes_deleted();
