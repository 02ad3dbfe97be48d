-- Returns the technologies whose names begin with a text, in upper or lower case: the first max_rows of them in
-- the order of the list, the most used first. It reads a limited part of the matches, whatever their number. It
-- reads all counts with the same number of digits together. If there are many, it reads one count after another.
-- The planner must use the indexes in their order, whatever it estimates.
CREATE OR REPLACE FUNCTION technologies_beginning(beginning text, max_rows bigint) RETURNS SETOF technology_counts
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
  many CONSTANT integer := 200;
  first CONSTANT text := lower(beginning);
  -- This is after every name with this beginning, because a name has at most 100 characters.
  last CONSTANT text := first || repeat(chr(1114111), 100);
  missing bigint := max_rows;
  digits integer := length((SELECT projects FROM technology_counts ORDER BY -projects LIMIT 1)::text);
  alike technology_counts[];
  uses bigint;
  returned integer;
BEGIN
  WHILE digits > 0 AND missing > 0 LOOP
    alike := ARRAY(SELECT counts FROM technology_counts AS counts
      WHERE length(projects::text) = digits AND lower(technology) COLLATE "C" BETWEEN first AND last LIMIT many + 1);
    IF cardinality(alike) <= many THEN
      RETURN QUERY SELECT * FROM unnest(alike);
      missing := missing - cardinality(alike);
    ELSE
      uses := 10::bigint ^ digits;
      WHILE missing > 0 LOOP
        uses := (SELECT projects FROM technology_counts WHERE -projects > -uses ORDER BY -projects LIMIT 1);
        EXIT WHEN uses IS NULL OR length(uses::text) < digits;
        RETURN QUERY SELECT * FROM technology_counts
          WHERE -projects = -uses AND lower(technology) COLLATE "C" BETWEEN first AND last
          ORDER BY -projects, lower(technology) COLLATE "C", technology LIMIT missing;
        GET DIAGNOSTICS returned = ROW_COUNT;
        missing := missing - returned;
      END LOOP;
    END IF;
    digits := digits - 1;
  END LOOP;
END
$$;
