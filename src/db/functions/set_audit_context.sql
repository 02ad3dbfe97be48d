-- Sets the actor and the request id that the history records for the rest of this transaction. A null argument
-- keeps the earlier value. The function also removes what set_write_author has set.
CREATE OR REPLACE FUNCTION set_audit_context(actor text, request_id text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('audit.actor', actor, true) WHERE actor IS NOT NULL;
  PERFORM set_config('audit.request_id', request_id, true) WHERE request_id IS NOT NULL;
  PERFORM set_write_author(NULL, NULL);
END
$$;
