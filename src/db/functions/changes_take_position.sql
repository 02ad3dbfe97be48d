-- Gives a transaction its place in the commit order, as the last step before it commits: one position for each
-- entity that it changed. Until the transaction ends, it holds a shared lock, which changes_settled reads in
-- pg_locks. The lock is named by the last 32 bits of a position before its own. Nobody waits for that lock.
--
-- When several transactions commit at the same time, only one of them notifies, because NOTIFY serializes commits.
-- No transaction notifies if the server accepts PREPARE TRANSACTION, which fails after a NOTIFY. Readers then poll
-- once a second.
--
-- Functions are called in assignments, which PL/pgSQL evaluates without a query. PERFORM would cost ten times as
-- much.
CREATE OR REPLACE FUNCTION changes_take_position() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
  last_position bigint := coalesce(pg_sequence_last_value('change_commits_position_seq'), 0);
  done text;
BEGIN
  done := pg_advisory_xact_lock_shared(hashtext('changes'), last_position::bit(32)::integer);
  INSERT INTO change_commits (change_set, entity) VALUES (NEW.change_set, NEW.entity);
  IF current_setting('max_prepared_transactions') = '0' AND pg_try_advisory_xact_lock(hashtext('changes notify'), 0) THEN
    done := pg_notify('changes', '');
  END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
DROP TRIGGER IF EXISTS changes_take_position ON changes;
--> statement-breakpoint
CREATE CONSTRAINT TRIGGER changes_take_position AFTER INSERT ON changes
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.sequence = NEW.change_set)
EXECUTE FUNCTION changes_take_position();
