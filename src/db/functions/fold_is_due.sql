-- Returns true if the transaction of a note with so many technologies and names folds at its commit: on
-- average once for 1,000 of them, and at least once for 200 notes, so that a reader never has many to add up.
CREATE OR REPLACE FUNCTION fold_is_due(note bigint, entries integer) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT note % greatest(1, least(200, 1000 / greatest(1, entries))) = 0
$$;
