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
