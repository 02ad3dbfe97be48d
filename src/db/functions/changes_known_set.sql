-- The change_set of this transaction, from the setting that holds it; NULL before its first change. The
-- setting names the transaction: a value from anywhere else would hide changes from the feed.
CREATE OR REPLACE FUNCTION changes_known_set(setting text) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT CASE WHEN starts_with(current_setting(setting, true), pg_current_xact_id()::text || ':')
    THEN split_part(current_setting(setting, true), ':', 2)::bigint END
$$;
