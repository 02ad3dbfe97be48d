-- Trigram indexes, for typo tolerance. The extension goes into the schema public where there is one, so
-- that a second schema of the same database finds it too.
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') THEN
    RETURN;
  ELSIF to_regnamespace('public') IS NULL THEN
    CREATE EXTENSION pg_trgm;
  ELSE
    CREATE EXTENSION pg_trgm SCHEMA public;
  END IF;
END $$;
