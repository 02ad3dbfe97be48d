-- Adds the changes that writers have noted to technology_counts, and removes technologies that no
-- project uses any more. One transaction folds at a time; the others skip it.
CREATE OR REPLACE FUNCTION fold_technology_changes() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  unused text[];
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('fold_technology_changes')) THEN
    RETURN;
  END IF;
  WITH folded AS (DELETE FROM technology_changes RETURNING technology, change),
  counted AS (
    INSERT INTO technology_counts AS counts (technology, projects)
      SELECT technology, sum(change) FROM folded GROUP BY technology ORDER BY technology
      ON CONFLICT (technology) DO UPDATE SET projects = counts.projects + excluded.projects
      RETURNING technology, projects
  )
  SELECT array_agg(technology) INTO unused FROM counted WHERE projects = 0;
  DELETE FROM technology_counts WHERE technology = ANY (unused);
END
$$;
