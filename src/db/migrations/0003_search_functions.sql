CREATE EXTENSION IF NOT EXISTS pg_trgm;
--> statement-breakpoint
-- What full-text search reads of a project. Beside its words every technology stands as one lexeme
-- of its own, `t=TypeScript`, which no word can be: a search within a technology is one look-up.
CREATE FUNCTION project_search(name text, technologies jsonb, description text)
RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT setweight(to_tsvector('simple', name), 'A')
    || setweight(jsonb_to_tsvector('simple', technologies, '["string"]'), 'B')
    || to_tsvector('simple', description)
    || array_to_tsvector(ARRAY(
      SELECT 't=' || left(item, 100) FROM jsonb_array_elements_text(
        -- The check constraint refuses what is no list of words, but only once this has been made.
        CASE jsonb_typeof(technologies) WHEN 'array' THEN technologies ELSE '[]' END
      ) AS item WHERE item IS NOT NULL
    ))
$$;
--> statement-breakpoint
-- The words of a text by which a typo is recognized: letters alone, long enough to resemble one another.
CREATE FUNCTION typo_words(content text) RETURNS SETOF text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT DISTINCT word FROM regexp_split_to_table(lower(content), '[^[:alpha:]]+') AS word
  WHERE length(word) BETWEEN 4 AND 40
$$;
