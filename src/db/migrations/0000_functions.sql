-- What a check constraint on a jsonb list of words needs, and what every versioned table does at
-- an update. Here, so that an import, a batch and a psql session obey it too.

CREATE FUNCTION is_distinct_text_array(list jsonb, max_items integer, max_length integer)
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
CREATE FUNCTION touch_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.version := OLD.version + 1;
  NEW.created_at := OLD.created_at;
  -- A clock set back must not make a newer version look older.
  NEW.updated_at := greatest(now(), OLD.updated_at);
  RETURN NEW;
END
$$;
