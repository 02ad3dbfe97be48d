-- Returns true if a row may be created at a version when its id has a history already. It continues from the
-- last version, otherwise one ETag would name two rows. A deleted row may come back exactly as it was, because
-- its ETag then names the same content. The version after another is written out as in next_version: this function
-- sets no search path, so that it is inlined.
CREATE OR REPLACE FUNCTION changes_may_follow(last_version integer, last_action text, last_before json, version integer, after json)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT last_version IS NULL OR last_version < version OR version = last_version % 2147483647 + 1
    OR last_action = 'deleted' AND last_version = version % 2147483647 + 1 AND last_before::text = after::text
$$;
