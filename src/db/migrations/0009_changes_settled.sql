-- Gives a transaction its place in the order of commits, as the last thing before it commits. Until
-- it has ended it holds a lock that is named by a position before its own (the last 32 bits of it),
-- for changes_settled to see. Nobody ever waits for that lock. Of those who commit at once one
-- notifies: NOTIFY would make each wait for the other's disk write.
CREATE OR REPLACE FUNCTION changes_take_position() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(hashtext('changes'),
    (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM change_commits_position_seq)::bit(32)::integer);
  INSERT INTO change_commits (change_set) VALUES (NEW.change_set);
  IF pg_try_advisory_xact_lock(hashtext('changes notify'), 0) THEN
    PERFORM pg_notify('changes', '');
  END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
-- A position up to which every transaction has committed or was rolled back: a statement that begins
-- after this one sees them all. It is the last one taken, unless a transaction is slow to commit:
-- after 100 ms it is the last before that one's. Nobody waits for a reader.
--
-- Why it holds: whoever takes a position has the lock before. So of those whose positions had been
-- taken when last_position was read, each has ended, or is seen below with a name that is smaller
-- than its position.
CREATE OR REPLACE FUNCTION changes_settled() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  last_position bigint := (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM change_commits_position_seq);
  deadline timestamptz := clock_timestamp() + interval '100 milliseconds';
  behind bigint;
BEGIN
  LOOP
    SELECT max((last_position - objid::bigint) & 4294967295) INTO behind FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 2 AND classid = (hashtext('changes')::bigint & 4294967295)::oid
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      -- Not those who began to commit after it was read.
      AND ((last_position - objid::bigint) & 4294967295) BETWEEN 1 AND 2147483647;
    EXIT WHEN behind IS NULL OR clock_timestamp() > deadline;
    PERFORM pg_sleep(0.001);
  END LOOP;
  RETURN last_position - coalesce(behind, 0);
END
$$;
