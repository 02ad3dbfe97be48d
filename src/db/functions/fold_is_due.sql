-- Returns true if the transaction of a note with this number of technologies and names folds when it commits. On
-- average one of 1,000 of them folds, and at least one of 200 notes, so that a reader adds up only a few notes.
CREATE OR REPLACE FUNCTION fold_is_due(note bigint, entries integer) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT note % greatest(1, least(200, 1000 / greatest(1, entries))) = 0
$$;
