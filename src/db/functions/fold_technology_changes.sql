-- Adds a limited number of the notes in technology_changes to technology_counts and name_words, and returns the
-- number of these notes. It also removes technologies that no project uses any more. Only one transaction folds at
-- a time; the others return 0. It runs only in read committed: with an older snapshot, a concurrent fold would
-- cause a serialization failure of the caller's write.
CREATE OR REPLACE FUNCTION fold_technology_changes(max_notes integer DEFAULT 10000) RETURNS integer LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off AS $$
DECLARE
  folded integer;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed'
    OR NOT pg_try_advisory_xact_lock(hashtext('fold_technology_changes')) THEN
    RETURN 0;
  END IF;
  WITH notes AS (
    DELETE FROM technology_changes WHERE id = ANY (ARRAY(SELECT id FROM technology_changes ORDER BY id LIMIT max_notes))
    RETURNING id, technologies, changes, names
  ), counted AS (
    INSERT INTO technology_counts AS counts (technology, projects)
      SELECT technology, sum(change) FROM notes, unnest(technologies, changes) AS noted (list, change), jsonb_array_elements_text(list) AS technology
      GROUP BY technology HAVING sum(change) <> 0 ORDER BY technology
      ON CONFLICT (technology) DO UPDATE SET projects = counts.projects + excluded.projects
  ), worded AS (
    -- The names of up to 100 notes are split into words at once, which takes half the time.
    INSERT INTO name_words (word)
      SELECT DISTINCT typed FROM (
        SELECT string_agg(name, ' ') AS joined FROM notes, unnest(names) WITH ORDINALITY AS named (name, place)
        GROUP BY id / 100, place / 100
      ) AS some_names, typo_words(fold_accents(joined)) AS typed
      WHERE (SELECT count(*) FROM name_words WHERE word = typed) = 0
  )
  SELECT count(*) INTO folded FROM notes;
  DELETE FROM technology_counts WHERE -projects = 0;
  RETURN folded;
END
$$;
