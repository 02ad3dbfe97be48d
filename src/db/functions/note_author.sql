-- Sets the actor and the request id that the history records for the rest of this transaction.
CREATE OR REPLACE FUNCTION note_author(actor text, request_id text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('projects.actor', actor, true), set_config('projects.request_id', request_id, true);
END
$$;
