-- The tsvector of a project. Tokens that PostgreSQL's parser would keep whole (`Node.js`, `CI/CD`) are
-- split into their words, as search-words.ts splits search terms. Each technology is also one lexeme of
-- its own, `t=TypeScript`, and so is the day of creation, counted from 1970 in UTC, `d=20000`; no word can
-- contain `=`. A search within a technology or some days is then one look-up. A marker word stands between
-- the fields, and between technologies, while positions are counted, so that no phrase matches across them.
-- This runs for every row of every write: hence plpgsql, whose plans a session keeps, and few statements.
CREATE OR REPLACE FUNCTION project_search(name text, technologies jsonb, description text, created_at timestamptz)
RETURNS tsvector LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path FROM CURRENT AS $$
DECLARE
  list text := technologies::text;
  lexemes text[];
  content text;
BEGIN
  IF strpos(list, '\') = 0 AND octet_length(list) < 2000 AND left(list, 2) = '["' THEN
    -- A list without escapes, `["a", "b"]`, can be cut as text, which is fast.
    list := left(substr(list, 3), -2);
    lexemes := string_to_array('t=' || replace(list, '", "', '", "t='), '", "');
    list := replace(list, '", "', ' zqbreakqz ');
  ELSE
    lexemes := ARRAY(
      SELECT 't=' || left(item, 100) FROM jsonb_array_elements_text(
        -- The check constraint refuses what is not a list of texts, but only after this.
        CASE jsonb_typeof(technologies) WHEN 'array' THEN technologies ELSE '[]' END
      ) AS item WHERE item IS NOT NULL
    );
    list := replace(' zqbreakqz ' || array_to_string(lexemes, ' zqbreakqz '), ' zqbreakqz t=', ' zqbreakqz ');
  END IF;
  IF isfinite(created_at) THEN
    lexemes := lexemes || ('d=' || ((created_at AT TIME ZONE 'UTC')::date - '1970-01-01'::date));
  END IF;
  content := name || ' zqbreakqz ' || list || ' zqbreakqz ' || description;
  IF octet_length(content) <> char_length(content) THEN
    IF content IS NOT NFC NORMALIZED THEN
      RAISE EXCEPTION 'text must be in Unicode normalization form C: write normalize(…) of it'
        USING ERRCODE = 'check_violation', TABLE = 'projects', CONSTRAINT = 'projects_normalized_check';
    END IF;
    content := search_grams(fold_accents(content));
  END IF;
  content := replace(replace(replace(replace(content, '-', ' '), '.', ' '), '/', ' '), '~', ' ');
  content := replace(replace(replace(replace(content, '@', ' '), '<', ' '), '&', ' '), '+', ' ');
  RETURN ts_delete(to_tsvector('simple', content), 'zqbreakqz') || array_to_tsvector(lexemes);
END
$$;
