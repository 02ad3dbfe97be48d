-- Returns true if the transaction of a note with this many technologies and names folds at its commit: on
-- average once for 1,000 of them, and at least once for 200 notes, so that a reader never has many to add up.
CREATE OR REPLACE FUNCTION fold_is_due(noted bigint) RETURNS boolean LANGUAGE sql VOLATILE AS $$
  SELECT noted > 100 OR coalesce(pg_sequence_last_value('technology_changes_id_seq'), 1)
    % greatest(1, least(200, 1000 / greatest(1, noted))) = 0
$$;
