-- Returns true if a row may be created with a version when its id already has a history. The row must continue
-- from the last version, otherwise one ETag would identify two rows. A deleted row may be restored exactly as it
-- was, because its ETag then identifies the same content. The next version is computed here as in next_version,
-- because this function must be inlined and therefore sets no search path.
CREATE OR REPLACE FUNCTION changes_may_follow(last_version integer, last_action text, last_before json, version integer, after json)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT last_version IS NULL OR last_version < version OR version = last_version % 2147483647 + 1
    OR last_action = 'deleted' AND last_version = version % 2147483647 + 1 AND last_before::text = after::text
$$;
