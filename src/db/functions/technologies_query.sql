-- Returns a tsquery that matches the lexemes of technologies in project_search, quoted as tsquery requires.
CREATE OR REPLACE FUNCTION technologies_query(names text[], operator text) RETURNS tsquery LANGUAGE sql IMMUTABLE AS $$
  SELECT string_agg('''' || replace(replace('t=' || item, '\', '\\'), '''', '''''') || '''', operator)::tsquery
  FROM unnest(names) AS item
$$;
