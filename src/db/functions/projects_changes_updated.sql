-- Records the history of an updated project. An update of the id deletes one project and creates another.
CREATE OR REPLACE FUNCTION projects_changes_updated() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
  old_document json := project_document(OLD.id, OLD.name, OLD.description, OLD.technologies,
    OLD.created_at, OLD.updated_at, OLD.version);
  new_document json := project_document(NEW.id, NEW.name, NEW.description, NEW.technologies,
    NEW.created_at, NEW.updated_at, NEW.version);
BEGIN
  IF NEW.id = OLD.id THEN
    INSERT INTO changes (entity, entity_id, version, action, before, after)
      VALUES ('project', NEW.id, NEW.version, 'updated', old_document, new_document);
  ELSE
    INSERT INTO changes (entity, entity_id, version, action, before, after)
      VALUES ('project', OLD.id, next_version(OLD.version), 'deleted', old_document, NULL),
        ('project', NEW.id, NEW.version, 'created', NULL, new_document);
  END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_changes_updated AFTER UPDATE ON projects
FOR EACH ROW EXECUTE FUNCTION projects_changes_updated();
