-- Folds when a write with a due note commits (fold_is_due). An earlier fold would hold its lock for the rest of a long
-- transaction. Only a due note is updated, so that other notes have no trigger whose condition would be read again
-- for each statement.
CREATE OR REPLACE FUNCTION technology_changes_fold() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM fold_technology_changes(2000);
  RETURN NULL;
END
$$;
--> statement-breakpoint
DROP TRIGGER IF EXISTS technology_changes_fold ON technology_changes;
--> statement-breakpoint
CREATE CONSTRAINT TRIGGER technology_changes_fold AFTER UPDATE ON technology_changes
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
EXECUTE FUNCTION technology_changes_fold();
