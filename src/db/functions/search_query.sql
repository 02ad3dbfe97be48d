-- Returns the tsquery of a search from words in the format of search-words.ts: a plain word has no quotes,
-- everything else has. A single letter of a script without spaces matches every pair that begins with it (see
-- search_grams). A word that no name contains may be a typo of up to three words that names contain; this does not
-- apply inside a phrase or after a minus. Names that no fold has added to name_words yet are read from their
-- notes.
CREATE OR REPLACE FUNCTION search_query(words text, all_of text[], any_of text[]) RETURNS tsquery
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET client_min_messages = warning AS $$
DECLARE
  folded text := fold_accents(words);
  query tsquery := websearch_to_tsquery('simple', folded);
  word_sought text;
  similar_words text;
  noted_words text[];
BEGIN
  IF octet_length(folded) <> char_length(folded) THEN
    query := regexp_replace(query::text,
      '(''[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]'')',
      '\1:*', 'g')::tsquery;
  END IF;
  FOR word_sought IN SELECT typo_words(regexp_replace(folded, '-?"[^"]*"|-\S+', ' ', 'g')) LOOP
    CONTINUE WHEN EXISTS (SELECT FROM name_words WHERE word = word_sought);
    noted_words := coalesce(noted_words, ARRAY(
      SELECT DISTINCT typed FROM technology_changes, unnest(names) AS name, typo_words(fold_accents(name)) AS typed
    ));
    CONTINUE WHEN word_sought = ANY (noted_words);
    SELECT string_agg(word, ' | ') INTO similar_words FROM (
      SELECT word FROM (
        SELECT word FROM name_words WHERE word % word_sought
        UNION ALL SELECT word FROM unnest(noted_words) AS word WHERE word % word_sought
      ) AS known
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
