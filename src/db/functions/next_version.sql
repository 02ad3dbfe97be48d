-- The version after this one. After the last number that an integer holds comes 1, so that a row stays
-- writable and removable at any version.
CREATE OR REPLACE FUNCTION next_version(version integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT version % 2147483647 + 1
$$;
