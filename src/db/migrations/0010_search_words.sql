-- As before, but what PostgreSQL's parser would make one token of (`Node.js`, `CI/CD`) is read as the
-- words that it is made of, as search-words.ts reads what is looked for. Between the fields, and
-- between technologies, a word of nobody's stands for as long as the words are counted: no phrase
-- goes across.
CREATE OR REPLACE FUNCTION project_search(name text, technologies jsonb, description text)
RETURNS tsvector LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
  list text := technologies::text;
  lexemes text[];
  content text;
BEGIN
  IF strpos(list, '\') = 0 AND octet_length(list) < 2000 AND left(list, 2) = '["' THEN
    -- A list without escapes, `["a", "b"]`, cut as text: this is run for every write and every import.
    list := left(substr(list, 3), -2);
    lexemes := string_to_array('t=' || replace(list, '", "', '", "t='), '", "');
    list := replace(list, '", "', ' zqbreakqz ');
  ELSE
    lexemes := ARRAY(
      SELECT 't=' || left(item, 100) FROM jsonb_array_elements_text(
        -- The check constraint refuses what is no list of words, but only once this has been made.
        CASE jsonb_typeof(technologies) WHEN 'array' THEN technologies ELSE '[]' END
      ) AS item WHERE item IS NOT NULL
    );
    list := replace(' zqbreakqz ' || array_to_string(lexemes, ' zqbreakqz '), ' zqbreakqz t=', ' zqbreakqz ');
  END IF;
  content := name || ' zqbreakqz ' || list || ' zqbreakqz ' || description;
  content := replace(replace(replace(content, '-', ' '), '.', ' '), '/', ' ');
  content := replace(replace(replace(replace(content, '@', ' '), '<', ' '), '&', ' '), '+', ' ');
  RETURN ts_delete(to_tsvector('simple', content), 'zqbreakqz') || array_to_tsvector(lexemes);
END
$$;
--> statement-breakpoint
-- Made anew for the projects that there are, which is no write to them: no version, no history.
ALTER TABLE projects DROP COLUMN search;
--> statement-breakpoint
ALTER TABLE projects ADD COLUMN search tsvector GENERATED ALWAYS AS (project_search(name, technologies, description)) STORED;
--> statement-breakpoint
ALTER TABLE projects ALTER COLUMN search SET STATISTICS 1000;
--> statement-breakpoint
CREATE INDEX projects_search_index ON projects USING gin (search);
--> statement-breakpoint
-- A new column has no statistics, and no write to the projects that would make autovacuum take them.
DO $$ BEGIN
  IF EXISTS (SELECT FROM projects) THEN
    ANALYZE projects (search);
  END IF;
END $$;
--> statement-breakpoint
-- As before, of words as search-words.ts writes them: a word stands bare, all else in quotes.
CREATE OR REPLACE FUNCTION search_query(words text, all_of text[], any_of text[]) RETURNS tsquery
LANGUAGE plpgsql STABLE SET client_min_messages = warning AS $$
DECLARE
  query tsquery := websearch_to_tsquery('simple', words);
  word_sought text;
  similar_words text;
BEGIN
  -- A word that no name holds may be a typo of one that some do; not in a phrase or behind a minus.
  FOR word_sought IN SELECT typo_words(regexp_replace(words, '-?"[^"]*"|-\S+', ' ', 'g')) LOOP
    CONTINUE WHEN EXISTS (SELECT FROM name_words WHERE word = word_sought);
    SELECT string_agg(word, ' | ') INTO similar_words FROM (
      SELECT word FROM name_words WHERE word % word_sought
      GROUP BY word ORDER BY similarity(word, word_sought) DESC, word LIMIT 3
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
-- As before, but a technology that nobody uses any more is forgotten.
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
--> statement-breakpoint
-- As before, but it folds too: updates alone would note changes without end.
CREATE OR REPLACE FUNCTION projects_facets_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM project_technologies
    WHERE technology IN (SELECT jsonb_array_elements_text(OLD.technologies))
      AND created_at = OLD.created_at AND project_id = OLD.id;
  INSERT INTO project_technologies (technology, created_at, project_id)
    SELECT item, NEW.created_at, NEW.id FROM jsonb_array_elements_text(NEW.technologies) AS item;
  INSERT INTO technology_changes (technology, change)
    SELECT item, -1 FROM jsonb_array_elements_text(OLD.technologies) AS item
    UNION ALL SELECT item, 1 FROM jsonb_array_elements_text(NEW.technologies) AS item;
  PERFORM fold_technology_changes_now_and_then();
  RETURN NULL;
END
$$;
--> statement-breakpoint
-- What zero counts there are from before.
DELETE FROM technology_counts WHERE projects = 0;
