-- Attaches versions, the history and the change feed to a table with the columns id (uuid), created_at, updated_at
-- and version. It creates the triggers, and the function <entity>_document(row), which returns the JSON for
-- history and feed from the columns of the table. migrate() runs it again after columns were added or removed
-- (refresh_tracking). If nothing has changed, it takes no lock.
-- Every name is qualified, so that no search path and no temporary table can change the tables that a trigger
-- writes to.
CREATE OR REPLACE FUNCTION track_changes(tracked regclass, entity text) RETURNS void LANGUAGE plpgsql AS $track$
DECLARE
  own text := (SELECT quote_ident(nspname) FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
    WHERE pg_proc.oid = 'track_changes(regclass,text)'::regprocedure);
  tracked_name text;
  prefix text;
  fields text;
  template text := $template$
    CREATE OR REPLACE FUNCTION [own].[document](tracked_row [table]) RETURNS json
    LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT json_build_object([fields]) $$;

    -- The change_set 0 means the first change of a transaction, which changes_join_set completes. Each row looks
    -- the change_set up again, because it is known after the first row was written.
    CREATE OR REPLACE FUNCTION [own].[created]() RETURNS trigger LANGUAGE plpgsql
    SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
    DECLARE
      actor text := [own].changes_author('actor');
      request text := [own].changes_author('request_id');
      -- If a statement inserts rows of several authors, the setting has an author for each id.
      authors jsonb := nullif(current_setting('audit.write_authors', true), '');
    BEGIN
      INSERT INTO [own].changes (change_set, entity, entity_id, version, action, after, actor, request_id)
        SELECT coalesce([own].changes_known_set('[setting]'), 0), [entity], added.id,
          CASE WHEN (
            SELECT version FROM [own].changes WHERE entity_id = added.id AND entity = [entity] ORDER BY sequence DESC LIMIT 1
          ) >= added.version
            THEN [own].changes_checked_version([entity], added.id, added.version, [own].[document](added)) ELSE added.version END,
          'created', [own].[document](added),
          coalesce(authors -> added.id::text ->> 'actor', actor), coalesce(authors -> added.id::text ->> 'requestId', request)
        FROM added;
      RETURN NULL;
    END
    $$;
    CREATE OR REPLACE TRIGGER [created] AFTER INSERT ON [table]
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION [own].[created]();

    CREATE OR REPLACE FUNCTION [own].[deleted]() RETURNS trigger LANGUAGE plpgsql
    SET plan_cache_mode = force_generic_plan AS $$
    DECLARE
      actor text := [own].changes_author('actor');
      request text := [own].changes_author('request_id');
    BEGIN
      INSERT INTO [own].changes (change_set, entity, entity_id, version, action, before, actor, request_id)
        SELECT coalesce([own].changes_known_set('[setting]'), 0), [entity], removed.id, [own].next_version(removed.version), 'deleted', [own].[document](removed), actor, request
        FROM removed;
      RETURN NULL;
    END
    $$;
    CREATE OR REPLACE TRIGGER [deleted] AFTER DELETE ON [table]
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION [own].[deleted]();

    -- Every row was deleted.
    CREATE OR REPLACE FUNCTION [own].[truncated]() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO [own].changes (entity, entity_id, version, action, before)
        SELECT [entity], rows.id, [own].next_version(rows.version), 'deleted', [own].[document](rows) FROM [table] AS rows;
      RETURN NULL;
    END
    $$;
    CREATE OR REPLACE TRIGGER [truncated] BEFORE TRUNCATE ON [table]
    FOR EACH STATEMENT EXECUTE FUNCTION [own].[truncated]();

    -- An update of the id deletes one entity and creates another.
    CREATE OR REPLACE FUNCTION [own].[updated]() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      old_document json := [own].[document](OLD);
      new_document json := [own].[document](NEW);
      -- If a statement updates rows of several authors, this is the author of this row.
      author json := nullif(current_setting('audit.write_authors', true), '')::json -> NEW.id::text;
    BEGIN
      IF NEW.id = OLD.id THEN
        INSERT INTO [own].changes (change_set, entity, entity_id, version, action, before, after, actor, request_id)
          VALUES (coalesce([own].changes_known_set('[setting]'), 0), [entity], NEW.id, NEW.version, 'updated', old_document, new_document,
            coalesce(author ->> 'actor', [own].changes_author('actor')),
            coalesce(author ->> 'requestId', [own].changes_author('request_id')));
      ELSE
        INSERT INTO [own].changes (entity, entity_id, version, action, before, after)
          VALUES ([entity], OLD.id, [own].next_version(OLD.version), 'deleted', old_document, NULL),
            ([entity], NEW.id, NEW.version, 'created', NULL, new_document);
      END IF;
      RETURN NULL;
    END
    $$;
    CREATE OR REPLACE TRIGGER [updated] AFTER UPDATE ON [table]
    FOR EACH ROW EXECUTE FUNCTION [own].[updated]();

    CREATE OR REPLACE TRIGGER [touch] BEFORE UPDATE ON [table]
    FOR EACH ROW EXECUTE FUNCTION [own].touch_row();
  $template$;
  part record;
  document regprocedure;
  note text;
  other text;
BEGIN
  SELECT format('%I.%I', nspname, relname), relname INTO tracked_name, prefix
  FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = tracked;
  -- The functions are named after the entity and the table, so each name can serve one table only.
  SELECT format('The entity %s is the table %s already', quote_ident(entity), proargtypes[0]::regtype) INTO other FROM pg_proc
  WHERE pronamespace = own::regnamespace AND proname = (entity || '_document')::name
    AND obj_description(oid, 'pg_proc') LIKE 'track_changes %' AND proargtypes[0] <> (SELECT reltype FROM pg_class WHERE oid = tracked);
  IF other IS NULL THEN
    SELECT format('A table of the same name in another schema, %s, is tracked already', tgrelid::regclass) INTO other FROM pg_trigger
    WHERE tgfoid = to_regprocedure(format('%s.%I()', own, prefix || '_changes_created')) AND tgrelid <> tracked;
  END IF;
  IF other IS NOT NULL THEN
    RAISE EXCEPTION '%, so track_changes(%, %) is refused.', other, quote_literal(tracked), quote_literal(entity)
      USING ERRCODE = 'duplicate_object', HINT = 'Give the entity or the table a name of its own.';
  END IF;
  SELECT string_agg(
    -- A name with capitals, which drizzle gives a column without a name of its own, is the name of the field already.
    quote_literal(CASE WHEN attname <> lower(attname) THEN attname::text
      ELSE left(attname, 1) || substr(replace(initcap(replace(attname, '_', ' ')), ' ', ''), 2) END) || ', '
      || format(CASE WHEN atttypid = 'timestamptz'::regtype THEN '%s.api_moment(tracked_row.%I)' ELSE 'tracked_row.%2$I' END, own, attname),
    ', ' ORDER BY attnum)
  INTO fields FROM pg_attribute
  WHERE attrelid = tracked AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
  FOR part IN SELECT * FROM (VALUES
    ('[setting]', 'changes.set_' || encode(convert_to(entity, 'UTF8'), 'hex')),
    ('[own]', own), ('[table]', tracked_name), ('[entity]', quote_literal(entity)), ('[fields]', fields),
    ('[document]', quote_ident(entity || '_document')), ('[touch]', quote_ident(prefix || '_touch_row')),
    ('[created]', quote_ident(prefix || '_changes_created')), ('[deleted]', quote_ident(prefix || '_changes_deleted')),
    ('[updated]', quote_ident(prefix || '_changes_updated')), ('[truncated]', quote_ident(prefix || '_changes_truncated'))
  ) AS parts (name, value) LOOP
    template := replace(template, part.name, part.value);
  END LOOP;
  document := to_regprocedure(format('%s.%I(%s)', own, entity || '_document', tracked_name));
  note := format('track_changes %L, %s', entity, md5(template));
  IF note IS DISTINCT FROM obj_description(document, 'pg_proc') THEN
    EXECUTE template;
    EXECUTE format('COMMENT ON FUNCTION %s.%I(%s) IS %L', own, entity || '_document', tracked_name, note);
  END IF;
END
$track$;
