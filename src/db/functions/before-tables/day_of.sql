-- The UTC day of a point in time, counted from 1970, as an array of one element, because GIN has
-- operators for arrays. Empty for infinity.
CREATE OR REPLACE FUNCTION day_of(moment timestamp with time zone) RETURNS integer[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT
RETURN CASE WHEN isfinite(moment)
  THEN ARRAY[floor(extract(epoch FROM moment AT TIME ZONE 'UTC') / 86400)::integer] ELSE '{}' END;
