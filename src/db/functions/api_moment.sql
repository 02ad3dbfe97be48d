-- A point in time in the format of the API: ISO 8601, UTC, milliseconds.
CREATE OR REPLACE FUNCTION api_moment(moment timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;
