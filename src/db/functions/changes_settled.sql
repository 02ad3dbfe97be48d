-- Returns the commit watermark: every transaction with a position up to it has committed or was rolled back, so
-- that a later statement sees all of their changes. It is the last position, unless a transaction is slow to
-- commit. Then, after 100 ms, it is the position before that transaction. No writer ever waits for a reader.
--
-- This holds because a transaction takes its lock before its position. When last_position is read, each
-- transaction with a position up to it has ended or still holds a lock whose name is smaller than its position,
-- and the query below sees that lock.
--
-- The function works only on the primary. A standby shows a sequence up to 32 values ahead and none of the locks
-- of the primary, so its answer would make a reader skip changes.
CREATE OR REPLACE FUNCTION changes_settled() RETURNS bigint LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
  last_position bigint := (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM change_commits_position_seq);
  deadline timestamptz := clock_timestamp() + interval '100 milliseconds';
  behind bigint;
BEGIN
  IF pg_is_in_recovery() THEN
    RAISE read_only_sql_transaction USING
      MESSAGE = 'The change feed cannot be read on a standby: this server is in recovery.',
      HINT = 'Read the feed on the primary.';
  END IF;
  LOOP
    SELECT max((last_position - objid::bigint) & 4294967295) INTO behind FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 2 AND classid = (hashtext('changes')::bigint & 4294967295)::oid
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      -- Ignores transactions that began to commit after last_position was read.
      AND ((last_position - objid::bigint) & 4294967295) BETWEEN 1 AND 2147483647;
    EXIT WHEN behind IS NULL OR clock_timestamp() > deadline;
    PERFORM pg_sleep(0.001);
  END LOOP;
  RETURN last_position - coalesce(behind, 0);
END
$$;
