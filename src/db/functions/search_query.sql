-- The tsquery of a search, from words as search-words.ts writes them: a plain word stands bare, all
-- else in quotes. A word that no name contains may be a typo of up to three words that names contain;
-- this does not apply inside a phrase or behind a minus.
CREATE OR REPLACE FUNCTION search_query(words text, all_of text[], any_of text[]) RETURNS tsquery
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET client_min_messages = warning AS $$
DECLARE
  query tsquery := websearch_to_tsquery('simple', words);
  word_sought text;
  similar_words text;
BEGIN
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
