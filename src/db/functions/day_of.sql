-- Returns the day of a point in time as project_search counts it: the days since 1970 in UTC; NULL for infinity.
CREATE OR REPLACE FUNCTION day_of(moment timestamptz) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN isfinite(moment) THEN (moment AT TIME ZONE 'UTC')::date - '1970-01-01'::date END
$$;
