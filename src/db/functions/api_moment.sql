-- Formats a point in time as the API does: ISO 8601 in UTC with milliseconds.
CREATE OR REPLACE FUNCTION api_moment(moment timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;
