-- The search path that functions capture: temporary tables come last.
SELECT set_config('search_path', (
  SELECT string_agg(quote_ident(name), ', ') FROM unnest(current_schemas(false)) AS name
) || ', pg_temp', true);
--> statement-breakpoint
-- functions/before-tables/day_of.sql
-- The UTC day of a point in time, counted from 1970, as an array of one element, because GIN has
-- operators for arrays. Empty for infinity.
CREATE OR REPLACE FUNCTION day_of(moment timestamp with time zone) RETURNS integer[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN CASE WHEN isfinite(moment)
  THEN ARRAY[floor(extract(epoch FROM moment AT TIME ZONE 'UTC') / 86400)::integer] ELSE '{}' END;
--> statement-breakpoint
-- functions/before-tables/extensions.sql
-- Trigram indexes, for typo tolerance. The extension goes into the schema public where there is one, so
-- that a second schema of the same database finds it too.
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
    RETURN;
  ELSIF to_regnamespace('public') IS NULL THEN
    CREATE EXTENSION pg_trgm;
  ELSE
    CREATE EXTENSION pg_trgm SCHEMA public;
  END IF;
END $$;
--> statement-breakpoint
-- functions/before-tables/is_distinct_text_array.sql
-- Checks a jsonb array of distinct texts. It is a check constraint, so that imports, batches and psql
-- obey it too.
CREATE OR REPLACE FUNCTION is_distinct_text_array(list jsonb, max_items integer, max_length integer)
RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
  IF jsonb_typeof(list) <> 'array' THEN
    RETURN false;
  ELSIF jsonb_array_length(list) > max_items THEN
    RETURN false;
  END IF;
  RETURN (
    SELECT coalesce(bool_and(jsonb_typeof(item) = 'string' AND char_length(item #>> '{}') BETWEEN 1 AND max_length), true)
       AND count(*) = count(DISTINCT item)
    FROM jsonb_array_elements(list) AS item
  );
END
$$;
--> statement-breakpoint
-- functions/before-tables/project_search.sql
-- The tsvector of a project. Tokens that PostgreSQL's parser would keep whole (`Node.js`, `CI/CD`) are
-- split into their words, as search-words.ts splits search terms. Each technology is also one lexeme of
-- its own, `t=TypeScript`, which no word can be: a search within a technology is one look-up. A marker
-- word stands between the fields, and between technologies, while positions are counted, so that no
-- phrase matches across them.
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
