-- The version after this one. After the last number that an integer holds comes 1, so that a row stays
-- writable and removable at any version.
CREATE OR REPLACE FUNCTION next_version(version integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN version = 2147483647 THEN 1 ELSE version + 1 END
$$;
