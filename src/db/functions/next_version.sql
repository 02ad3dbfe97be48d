-- Returns the version after this one. The version after the largest integer is 1, so that a row can be written and
-- removed at any version.
CREATE OR REPLACE FUNCTION next_version(version integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT version % 2147483647 + 1
$$;
