-- Sets the author of one write, in its RETURNING clause, which runs before the triggers that record the history. A
-- null argument means the value of set_audit_context. The function is inlined, so it sets no search path.
CREATE OR REPLACE FUNCTION set_write_author(actor text, request_id text) RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT set_config('audit.write_actor', coalesce(actor, ''), true)
    || set_config('audit.write_request_id', coalesce(request_id, ''), true)
$$;
