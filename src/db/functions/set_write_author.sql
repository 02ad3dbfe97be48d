-- Sets the author of one write, in its RETURNING clause, which runs before the triggers that record the
-- history. What is null falls back to set_audit_context. It is inlined, so it sets no search path.
CREATE OR REPLACE FUNCTION set_write_author(actor text, request_id text) RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT set_config('audit.write_actor', coalesce(actor, ''), true)
    || set_config('audit.write_request_id', coalesce(request_id, ''), true)
$$;
