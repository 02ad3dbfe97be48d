-- Folds at the commit of a write, on average once for each 1000 technologies noted and at least once for
-- each 200 notes, so that a reader never has many to add up. At the commit, because the lock of the fold
-- must not be held for the rest of a long transaction.
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
CREATE CONSTRAINT TRIGGER technology_changes_fold AFTER INSERT ON technology_changes
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (NEW.id % greatest(1, least(200, 1000 / greatest(1, cardinality(NEW.technologies)))) = 0 OR cardinality(NEW.technologies) > 100)
EXECUTE FUNCTION technology_changes_fold();
