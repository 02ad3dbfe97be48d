-- Runs track_changes again for each table that it was called for. The comment on <entity>_document records the
-- call.
CREATE OR REPLACE FUNCTION refresh_tracking() RETURNS void LANGUAGE sql
SET search_path FROM CURRENT AS $$
  SELECT track_changes(typrelid::regclass, replace((regexp_match(description, '^track_changes ''(.*)'', '))[1], '''''', ''''))
  FROM pg_description
    JOIN pg_proc ON pg_proc.oid = objoid AND classoid = 'pg_proc'::regclass
    JOIN pg_type ON pg_type.oid = proargtypes[0]
  WHERE pronamespace = (SELECT pronamespace FROM pg_proc WHERE oid = 'track_changes(regclass,text)'::regprocedure)
    AND description LIKE 'track_changes %'
$$;
