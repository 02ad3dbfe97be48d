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
