-- Increases the version of a row and sets its timestamps. Every versioned table uses it.
CREATE OR REPLACE FUNCTION touch_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- The same as next_version, which is not called because this function runs for every row and sets no search path.
  NEW.version := OLD.version % 2147483647 + 1;
  NEW.created_at := OLD.created_at;
  -- A clock set back must not make a newer version look older.
  NEW.updated_at := greatest(now(), OLD.updated_at);
  RETURN NEW;
END
$$;
