-- Folds what writers have noted into the counts. One at a time; the others leave it to that one.
CREATE FUNCTION fold_technology_changes() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF NOT pg_try_advisory_xact_lock(hashtext('fold_technology_changes')) THEN
    RETURN;
  END IF;
  WITH folded AS (DELETE FROM technology_changes RETURNING technology, change)
  INSERT INTO technology_counts AS counts (technology, projects)
    SELECT technology, sum(change) FROM folded GROUP BY technology ORDER BY technology
    ON CONFLICT (technology) DO UPDATE SET projects = counts.projects + excluded.projects;
END
$$;
--> statement-breakpoint
-- Enough writes fold that a reader never has many changes to add up.
CREATE FUNCTION fold_technology_changes_now_and_then() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF random() < 0.002 THEN
    PERFORM fold_technology_changes();
  END IF;
END
$$;
--> statement-breakpoint
CREATE FUNCTION projects_facets_add() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO project_technologies (technology, created_at, project_id)
    SELECT item, created_at, id FROM added, jsonb_array_elements_text(technologies) AS item;
  INSERT INTO technology_changes (technology, change)
    SELECT item, count(*) FROM added, jsonb_array_elements_text(technologies) AS item GROUP BY item;
  INSERT INTO name_words (word)
    SELECT DISTINCT typed FROM added, typo_words(name) AS typed
    WHERE NOT EXISTS (SELECT FROM name_words WHERE word = typed)
    ON CONFLICT DO NOTHING;
  PERFORM fold_technology_changes_now_and_then();
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE FUNCTION projects_facets_remove() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM project_technologies AS gone
    USING removed, jsonb_array_elements_text(removed.technologies) AS item
    WHERE gone.technology = item AND gone.created_at = removed.created_at AND gone.project_id = removed.id;
  INSERT INTO technology_changes (technology, change)
    SELECT item, -count(*) FROM removed, jsonb_array_elements_text(technologies) AS item GROUP BY item;
  PERFORM fold_technology_changes_now_and_then();
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE FUNCTION projects_facets_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM project_technologies
    WHERE technology IN (SELECT jsonb_array_elements_text(OLD.technologies))
      AND created_at = OLD.created_at AND project_id = OLD.id;
  INSERT INTO project_technologies (technology, created_at, project_id)
    SELECT item, NEW.created_at, NEW.id FROM jsonb_array_elements_text(NEW.technologies) AS item;
  INSERT INTO technology_changes (technology, change)
    SELECT item, -1 FROM jsonb_array_elements_text(OLD.technologies) AS item
    UNION ALL SELECT item, 1 FROM jsonb_array_elements_text(NEW.technologies) AS item;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE FUNCTION projects_name_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO name_words (word) SELECT typo_words(NEW.name) ON CONFLICT DO NOTHING;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE FUNCTION projects_facets_clear() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  TRUNCATE project_technologies, technology_counts, technology_changes, name_words;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER projects_facets_add AFTER INSERT ON projects
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION projects_facets_add();
--> statement-breakpoint
CREATE TRIGGER projects_facets_remove AFTER DELETE ON projects
REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION projects_facets_remove();
--> statement-breakpoint
CREATE TRIGGER projects_facets_change AFTER UPDATE ON projects FOR EACH ROW
WHEN (OLD.technologies IS DISTINCT FROM NEW.technologies OR OLD.id <> NEW.id)
EXECUTE FUNCTION projects_facets_change();
--> statement-breakpoint
CREATE TRIGGER projects_name_words AFTER UPDATE ON projects FOR EACH ROW
WHEN (OLD.name <> NEW.name) EXECUTE FUNCTION projects_name_words();
--> statement-breakpoint
CREATE TRIGGER projects_facets_clear AFTER TRUNCATE ON projects
FOR EACH STATEMENT EXECUTE FUNCTION projects_facets_clear();
--> statement-breakpoint
-- The projects that were there before the triggers.
INSERT INTO project_technologies (technology, created_at, project_id)
  SELECT item, created_at, id FROM projects, jsonb_array_elements_text(technologies) AS item;
--> statement-breakpoint
INSERT INTO technology_counts (technology, projects)
  SELECT technology, count(*) FROM project_technologies GROUP BY technology;
--> statement-breakpoint
INSERT INTO name_words (word) SELECT DISTINCT word FROM projects, typo_words(name) AS word;
--> statement-breakpoint
-- The planner chooses between walking an index and asking the search index by how common a word is.
ALTER TABLE projects ALTER COLUMN search SET STATISTICS 1000;
--> statement-breakpoint
CREATE FUNCTION search_query(words text, all_of text[], any_of text[]) RETURNS tsquery
LANGUAGE plpgsql STABLE SET client_min_messages = warning AS $$
DECLARE
  query tsquery := websearch_to_tsquery('simple', words);
  word_sought text;
  similar_words text;
BEGIN
  -- A word that no name holds may be a typo of one that some do; not in a phrase or behind a minus.
  FOR word_sought IN SELECT typo_words(regexp_replace(words, '-?"[^"]*"|(^|\s)-\S+', ' ', 'g')) LOOP
    CONTINUE WHEN EXISTS (SELECT FROM name_words WHERE word = word_sought);
    SELECT string_agg(word, ' | ') INTO similar_words FROM (
      SELECT word FROM name_words WHERE word % word_sought ORDER BY similarity(word, word_sought) DESC, word LIMIT 3
    ) AS closest;
    CONTINUE WHEN similar_words IS NULL;
    query := ts_rewrite(query, plainto_tsquery('simple', word_sought),
      to_tsquery('simple', word_sought || ' | ' || similar_words));
  END LOOP;
  RETURN coalesce(query, '')
    && coalesce(technologies_query(all_of, ' & '), '')
    && coalesce(technologies_query(any_of, ' | '), '');
END
$$;
--> statement-breakpoint
-- The lexemes that project_search makes of technologies, quoted as tsquery wants them.
CREATE FUNCTION technologies_query(names text[], operator text) RETURNS tsquery LANGUAGE sql IMMUTABLE AS $$
  SELECT string_agg('''' || replace(replace('t=' || item, '\', '\\'), '''', '''''') || '''', operator)::tsquery
  FROM unnest(names) AS item
$$;
