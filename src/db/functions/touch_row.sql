-- Counts the version of a row and keeps its timestamps. For every versioned table.
CREATE OR REPLACE FUNCTION touch_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.version := OLD.version + 1;
  NEW.created_at := OLD.created_at;
  -- A clock set back must not make a newer version look older.
  NEW.updated_at := greatest(now(), OLD.updated_at);
  RETURN NEW;
END
$$;
