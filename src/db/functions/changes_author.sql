-- The actor ('actor') or the request ('request_id') that a change is recorded with: the one of this
-- write, or else the one of the transaction, or else ''.
CREATE OR REPLACE FUNCTION changes_author(setting text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce(nullif(current_setting('audit.write_' || setting, true), ''), current_setting('audit.' || setting, true), '')
$$;
