-- Returns the words of a folded text that typo tolerance applies to: they have only letters, 4 to 40 of them.
CREATE OR REPLACE FUNCTION typo_words(content text) RETURNS SETOF text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT DISTINCT word FROM regexp_split_to_table(content, '[^[:alpha:]]+') AS word
  WHERE length(word) BETWEEN 4 AND 40
$$;
