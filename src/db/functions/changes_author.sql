-- Returns the actor ('actor') or the request ('request_id') that is recorded with a change: that of the write,
-- otherwise that of the transaction, otherwise ''.
CREATE OR REPLACE FUNCTION changes_author(setting text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce(nullif(current_setting('audit.write_' || setting, true), ''), current_setting('audit.' || setting, true), '')
$$;
