-- Returns the change_set of this transaction from the setting that contains it; NULL before its first change. The
-- setting also names the transaction, because a value from elsewhere would hide changes from the feed.
CREATE OR REPLACE FUNCTION changes_known_set(setting text) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT CASE WHEN starts_with(current_setting(setting, true), pg_current_xact_id()::text || ':')
    THEN split_part(current_setting(setting, true), ':', 2)::bigint END
$$;
