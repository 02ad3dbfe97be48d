-- The search path that functions capture: temporary tables come last.
SELECT set_config('search_path', (
  SELECT string_agg(quote_ident(name), ', ') FROM unnest(current_schemas(false)) AS name
) || ', pg_temp', true);
--> statement-breakpoint
-- functions/api_moment.sql
-- Formats a point in time as the API does: ISO 8601 in UTC with milliseconds.
CREATE OR REPLACE FUNCTION api_moment(moment timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;
--> statement-breakpoint
-- functions/changes_author.sql
-- Returns the actor ('actor') or the request ('request_id') that is recorded with a change: that of the write,
-- otherwise that of the transaction, otherwise ''.
CREATE OR REPLACE FUNCTION changes_author(setting text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT coalesce(nullif(current_setting('audit.write_' || setting, true), ''), current_setting('audit.' || setting, true), '')
$$;
--> statement-breakpoint
-- functions/changes_may_follow.sql
-- Returns true if a row may be created with a version when its id already has a history. The row must continue
-- from the last version, otherwise one ETag would identify two rows. A deleted row may be restored exactly as it
-- was, because its ETag then identifies the same content. The next version is computed here as in next_version,
-- because this function must be inlined and therefore sets no search path.
CREATE OR REPLACE FUNCTION changes_may_follow(last_version integer, last_action text, last_before json, version integer, after json)
RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT last_version IS NULL OR last_version < version OR version = last_version % 2147483647 + 1
    OR last_action = 'deleted' AND last_version = version % 2147483647 + 1 AND last_before::text = after::text
$$;
--> statement-breakpoint
-- functions/changes_checked_version.sql
-- Returns the version of a created row. Raises an error if the row does not continue the history of its id
-- (changes_may_follow). 40001 (serialization_failure) tells the caller that a retry succeeds.
CREATE OR REPLACE FUNCTION changes_checked_version(created_entity text, id uuid, created_version integer, document json)
RETURNS integer LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  last record;
BEGIN
  SELECT version, action, before INTO last FROM changes
    WHERE entity_id = id AND entity = created_entity ORDER BY sequence DESC LIMIT 1;
  IF NOT changes_may_follow(last.version, last.action, last.before, created_version, document) THEN
    RAISE serialization_failure USING
      MESSAGE = format('The history of the %s %s goes up to version %s already.', created_entity, id, last.version),
      HINT = 'Try again. If you give the version yourself, give a later one.';
  END IF;
  RETURN created_version;
END
$$;
--> statement-breakpoint
-- functions/changes_known_set.sql
-- Returns the change_set of this transaction from the setting that contains it; NULL before its first change. The
-- setting also names the transaction, because a value from elsewhere would hide changes from the feed.
CREATE OR REPLACE FUNCTION changes_known_set(setting text) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT CASE WHEN starts_with(current_setting(setting, true), pg_current_xact_id()::text || ':')
    THEN split_part(current_setting(setting, true), ':', 2)::bigint END
$$;
--> statement-breakpoint
-- functions/changes_join_set.sql
-- Completes a change that is written with the change_set 0 or without one. The changes to one entity in one
-- transaction share a change_set, which is the sequence of the first of them. The triggers of track_changes write
-- 0 for the first change. A change without a change_set comes from a trigger that a host has written; it gets its
-- author here and is checked. The condition of the trigger is also true for NULL; it is short, because PostgreSQL
-- reads its text again for each statement.
CREATE OR REPLACE FUNCTION changes_join_set() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
  setting text := 'changes.set_' || encode(convert_to(NEW.entity, 'UTF8'), 'hex');
BEGIN
  IF NEW.change_set = 0 THEN
    NEW.change_set := NEW.sequence;
  ELSE
    NEW.change_set := coalesce(changes_known_set(setting), NEW.sequence);
    NEW.actor := changes_author('actor');
    NEW.request_id := changes_author('request_id');
    IF NEW.action = 'created' THEN
      NEW.version := changes_checked_version(NEW.entity, NEW.entity_id, NEW.version, NEW.after);
    END IF;
  END IF;
  setting := set_config(setting, pg_current_xact_id()::text || ':' || NEW.change_set, true);
  RETURN NEW;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER changes_join_set BEFORE INSERT ON changes
FOR EACH ROW WHEN ((NEW.change_set = 0) IS NOT FALSE) EXECUTE FUNCTION changes_join_set();
--> statement-breakpoint
-- functions/changes_settled.sql
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
--> statement-breakpoint
-- functions/changes_take_position.sql
-- Gives a transaction its place in the commit order, as the last step before it commits: one position for each
-- entity that it changed. Until the transaction ends, it holds a shared lock, which changes_settled reads in
-- pg_locks. The lock is named by the last 32 bits of a position before its own. Nobody waits for that lock.
--
-- When several transactions commit at the same time, only one of them notifies, because NOTIFY serializes commits.
-- No transaction notifies if the server accepts PREPARE TRANSACTION, which fails after a NOTIFY. Readers then poll
-- once a second.
--
-- Functions are called in assignments, which PL/pgSQL evaluates without a query. PERFORM would cost ten times as
-- much.
CREATE OR REPLACE FUNCTION changes_take_position() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
  last_position bigint := coalesce(pg_sequence_last_value('change_commits_position_seq'), 0);
  done text;
BEGIN
  done := pg_advisory_xact_lock_shared(hashtext('changes'), last_position::bit(32)::integer);
  INSERT INTO change_commits (change_set, entity) VALUES (NEW.change_set, NEW.entity);
  IF current_setting('max_prepared_transactions') = '0' AND pg_try_advisory_xact_lock(hashtext('changes notify'), 0) THEN
    done := pg_notify('changes', '');
  END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
DROP TRIGGER IF EXISTS changes_take_position ON changes;
--> statement-breakpoint
CREATE CONSTRAINT TRIGGER changes_take_position AFTER INSERT ON changes
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.sequence = NEW.change_set)
EXECUTE FUNCTION changes_take_position();
--> statement-breakpoint
-- functions/day_of.sql
-- Returns the day of a point in time as project_search counts it: the days since 1970 in UTC; NULL for infinity.
CREATE OR REPLACE FUNCTION day_of(moment timestamptz) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT CASE WHEN isfinite(moment) THEN (moment AT TIME ZONE 'UTC')::date - '1970-01-01'::date END
$$;
--> statement-breakpoint
-- functions/fold_is_due.sql
-- Returns true if the transaction of a note with this number of technologies and names folds when it commits. On
-- average one of 1,000 of them folds, and at least one of 200 notes, so that a reader adds up only a few notes.
CREATE OR REPLACE FUNCTION fold_is_due(note bigint, entries integer) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT note % greatest(1, least(200, 1000 / greatest(1, entries))) = 0
$$;
--> statement-breakpoint
-- functions/typo_words.sql
-- Returns the words of a folded text that typo tolerance applies to: they have only letters, 4 to 40 of them.
CREATE OR REPLACE FUNCTION typo_words(content text) RETURNS SETOF text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT DISTINCT word FROM regexp_split_to_table(content, '[^[:alpha:]]+') AS word
  WHERE length(word) BETWEEN 4 AND 40
$$;
--> statement-breakpoint
-- functions/fold_technology_changes.sql
-- Adds a limited number of the notes in technology_changes to technology_counts and name_words, and returns the
-- number of these notes. It also removes technologies that no project uses any more. Only one transaction folds at
-- a time; the others return 0. It runs only in read committed: with an older snapshot, a concurrent fold would
-- cause a serialization failure of the caller's write.
CREATE OR REPLACE FUNCTION fold_technology_changes(max_notes integer DEFAULT 10000) RETURNS integer LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off AS $$
DECLARE
  folded integer;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed'
    OR NOT pg_try_advisory_xact_lock(hashtext('fold_technology_changes')) THEN
    RETURN 0;
  END IF;
  WITH notes AS (
    DELETE FROM technology_changes WHERE id = ANY (ARRAY(SELECT id FROM technology_changes ORDER BY id LIMIT max_notes))
    RETURNING id, technologies, changes, names
  ), counted AS (
    INSERT INTO technology_counts AS counts (technology, projects)
      SELECT technology, sum(change) FROM notes, unnest(technologies, changes) AS noted (list, change), jsonb_array_elements_text(list) AS technology
      GROUP BY technology HAVING sum(change) <> 0 ORDER BY technology
      ON CONFLICT (technology) DO UPDATE SET projects = counts.projects + excluded.projects
  ), worded AS (
    -- The names of up to 100 notes are split into words at once, which takes half the time.
    INSERT INTO name_words (word)
      SELECT DISTINCT typed FROM (
        SELECT string_agg(name, ' ') AS joined FROM notes, unnest(names) WITH ORDINALITY AS named (name, place)
        GROUP BY id / 100, place / 100
      ) AS some_names, typo_words(fold_accents(joined)) AS typed
      WHERE (SELECT count(*) FROM name_words WHERE word = typed) = 0
  )
  SELECT count(*) INTO folded FROM notes;
  DELETE FROM technology_counts WHERE -projects = 0;
  RETURN folded;
END
$$;
--> statement-breakpoint
-- functions/next_version.sql
-- Returns the version after this one. The version after the largest integer is 1, so that a row can be written and
-- removed at any version.
CREATE OR REPLACE FUNCTION next_version(version integer) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT version % 2147483647 + 1
$$;
--> statement-breakpoint
-- functions/projects_facets_add.sql
-- Keeps the tables of the lists in step with inserted projects.
--
-- The plan must use indexes, whatever the planner estimates. A session plans the statements of a trigger once, and
-- an import is one transaction. If it planned them while the tables are empty, each statement would scan
-- everything that the transaction has written. So sequential scans are off, and each look-up is a separate
-- subquery and not a join whose order could be reversed.
--
-- The plans are generic, because the planner takes the number of rows in a transition table from the current
-- statement. After a statement with thousands of rows it would plan every later write of one row again.
CREATE OR REPLACE FUNCTION projects_facets_add() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  note bigint;
  noted integer;
BEGIN
  INSERT INTO project_technologies (technology, created_at, project_id)
    SELECT jsonb_array_elements_text(technologies), created_at, id FROM added;
  INSERT INTO technology_changes (technologies, changes, names, entries)
    SELECT array_agg(technologies), array_agg(1), array_agg(name), count(*) + sum(jsonb_array_length(technologies))
    FROM added HAVING count(*) > 0
    RETURNING id, entries INTO note, noted;
  IF fold_is_due(note, noted) THEN
    UPDATE technology_changes SET is_due = true WHERE id = note;
  END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_facets_add AFTER INSERT ON projects
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION projects_facets_add();
--> statement-breakpoint
-- functions/projects_facets_change.sql
-- Keeps the tables of the lists in step with an updated project, and records a changed name, whose words a fold adds
-- to name_words. For the planner settings see projects_facets_add.
--
-- The trigger has no condition, because PostgreSQL reads the text of a condition again for each statement. The first
-- IF costs a single update less.
CREATE OR REPLACE FUNCTION projects_facets_change() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  lists jsonb[];
  list_changes integer[];
  new_names text[];
  noted integer;
  note bigint;
BEGIN
  IF OLD.technologies = NEW.technologies AND OLD.name = NEW.name AND OLD.id = NEW.id THEN
    RETURN NULL;
  END IF;
  IF OLD.technologies <> NEW.technologies OR OLD.id <> NEW.id THEN
    DELETE FROM project_technologies
      WHERE technology = ANY (ARRAY(SELECT jsonb_array_elements_text(OLD.technologies)))
        AND created_at = OLD.created_at AND project_id = OLD.id;
    INSERT INTO project_technologies (technology, created_at, project_id)
      SELECT jsonb_array_elements_text(NEW.technologies), NEW.created_at, NEW.id;
    lists := ARRAY[OLD.technologies, NEW.technologies];
    list_changes := ARRAY[-1, 1];
    noted := jsonb_array_length(OLD.technologies) + jsonb_array_length(NEW.technologies);
  END IF;
  IF OLD.name <> NEW.name THEN
    new_names := ARRAY[NEW.name];
    noted := coalesce(noted, 0) + 1;
  END IF;
  INSERT INTO technology_changes (technologies, changes, names, entries)
    VALUES (coalesce(lists, '{}'), coalesce(list_changes, '{}'), coalesce(new_names, '{}'), noted)
    RETURNING id INTO note;
  IF fold_is_due(note, noted) THEN
    UPDATE technology_changes SET is_due = true WHERE id = note;
  END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_facets_change AFTER UPDATE ON projects FOR EACH ROW
EXECUTE FUNCTION projects_facets_change();
--> statement-breakpoint
-- functions/projects_facets_clear.sql
-- Empties the tables of the lists after a TRUNCATE of projects. They are locked in the order of fold_technology_changes,
-- so that the two cannot wait for each other.
CREATE OR REPLACE FUNCTION projects_facets_clear() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
  TRUNCATE project_technologies, technology_changes, technology_counts, name_words;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_facets_clear AFTER TRUNCATE ON projects
FOR EACH STATEMENT EXECUTE FUNCTION projects_facets_clear();
--> statement-breakpoint
-- functions/projects_facets_remove.sql
-- Keeps the tables of the lists in step with deleted projects. For the planner settings see
-- projects_facets_add. The words of names stay (see name_words in schema.ts).
CREATE OR REPLACE FUNCTION projects_facets_remove() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
  note bigint;
  noted integer;
BEGIN
  DELETE FROM project_technologies WHERE ctid = ANY (ARRAY(
    SELECT (
      SELECT gone.ctid FROM project_technologies AS gone
      WHERE technology = item AND gone.created_at = removed.created_at AND project_id = removed.id
    ) FROM removed, jsonb_array_elements_text(removed.technologies) AS item
  ));
  INSERT INTO technology_changes (technologies, changes, entries)
    SELECT array_agg(technologies), array_agg(-1), sum(jsonb_array_length(technologies))
    FROM removed HAVING sum(jsonb_array_length(technologies)) > 0
    RETURNING id, entries INTO note, noted;
  IF fold_is_due(note, noted) THEN
    UPDATE technology_changes SET is_due = true WHERE id = note;
  END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE TRIGGER projects_facets_remove AFTER DELETE ON projects
REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION projects_facets_remove();
--> statement-breakpoint
-- functions/touch_row.sql
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
--> statement-breakpoint
-- functions/track_changes.sql
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
--> statement-breakpoint
-- functions/projects_tracking.sql
-- Attaches versions, history and change feed to projects. History and feed contain project_document(row).
SELECT track_changes('projects', 'project');
--> statement-breakpoint
-- functions/refresh_tracking.sql
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
--> statement-breakpoint
-- functions/technologies_query.sql
-- Returns a tsquery that matches the lexemes of technologies in project_search, quoted as tsquery requires.
CREATE OR REPLACE FUNCTION technologies_query(names text[], operator text) RETURNS tsquery LANGUAGE sql IMMUTABLE AS $$
  SELECT string_agg('''' || replace(replace('t=' || item, '\', '\\'), '''', '''''') || '''', operator)::tsquery
  FROM unnest(names) AS item
$$;
--> statement-breakpoint
-- functions/search_query.sql
-- Returns the tsquery of a search from words in the format of search-words.ts: a plain word has no quotes,
-- everything else has. A single letter of a script without spaces matches every pair that begins with it (see
-- search_grams). A word that no name contains may be a typo of up to three words that names contain; this does not
-- apply inside a phrase or after a minus. Names that no fold has added to name_words yet are read from their
-- notes.
CREATE OR REPLACE FUNCTION search_query(words text, all_of text[], any_of text[]) RETURNS tsquery
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT SET client_min_messages = warning AS $$
DECLARE
  folded text := fold_accents(words);
  query tsquery := websearch_to_tsquery('simple', folded);
  word_sought text;
  similar_words text;
  noted_words text[];
BEGIN
  IF octet_length(folded) <> char_length(folded) THEN
    query := regexp_replace(query::text,
      '(''[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]'')',
      '\1:*', 'g')::tsquery;
  END IF;
  FOR word_sought IN SELECT typo_words(regexp_replace(folded, '-?"[^"]*"|-\S+', ' ', 'g')) LOOP
    CONTINUE WHEN EXISTS (SELECT FROM name_words WHERE word = word_sought);
    noted_words := coalesce(noted_words, ARRAY(
      SELECT DISTINCT typed FROM technology_changes, unnest(names) AS name, typo_words(fold_accents(name)) AS typed
    ));
    CONTINUE WHEN word_sought = ANY (noted_words);
    SELECT string_agg(word, ' | ') INTO similar_words FROM (
      SELECT word FROM (
        SELECT word FROM name_words WHERE word % word_sought
        UNION ALL SELECT word FROM unnest(noted_words) AS word WHERE word % word_sought
      ) AS known
      GROUP BY word ORDER BY similarity(word, word_sought) DESC, word LIMIT 3
    ) AS closest;
    CONTINUE WHEN similar_words IS NULL;
    query := ts_rewrite(query, plainto_tsquery('simple', word_sought),
      to_tsquery('simple', word_sought || ' | ' || similar_words));
  END LOOP;
  RETURN coalesce(query, '')
    && coalesce(technologies_query(all_of, ' & '), '')
    && coalesce(technologies_query(any_of, ' | '), '');
END
$$;
--> statement-breakpoint
-- functions/set_write_author.sql
-- Sets the author of one write, in its RETURNING clause, which runs before the triggers that record the history. A
-- null argument means the value of set_audit_context. The function is inlined, so it sets no search path.
CREATE OR REPLACE FUNCTION set_write_author(actor text, request_id text) RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT set_config('audit.write_actor', coalesce(actor, ''), true)
    || set_config('audit.write_request_id', coalesce(request_id, ''), true)
$$;
--> statement-breakpoint
-- functions/set_audit_context.sql
-- Sets the actor and the request id that the history records for the rest of this transaction. A null argument
-- keeps the earlier value. The function also removes what set_write_author has set.
CREATE OR REPLACE FUNCTION set_audit_context(actor text, request_id text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('audit.actor', actor, true) WHERE actor IS NOT NULL;
  PERFORM set_config('audit.request_id', request_id, true) WHERE request_id IS NOT NULL;
  PERFORM set_write_author(NULL, NULL);
END
$$;
--> statement-breakpoint
-- functions/settings.sql
-- Planner statistics and rows that drizzle's schema cannot express. Every statement can run again.

-- The planner chooses between walking an index and using the search index by how common a word is.
ALTER TABLE projects ALTER COLUMN search SET STATISTICS 1000;
--> statement-breakpoint
-- A list looks up each project of one technology once. From its own sample the planner assumes that
-- ids repeat and adds a hash table (Memoize), which costs a seventh of a list's time and never hits.
ALTER TABLE project_technologies ALTER COLUMN project_id SET (n_distinct = -1);
--> statement-breakpoint
INSERT INTO change_expiry DEFAULT VALUES ON CONFLICT DO NOTHING;
--> statement-breakpoint
-- functions/technologies_beginning.sql
-- Returns the technologies whose names begin with a text, in upper or lower case: the first max_rows of them in
-- the order of the list, the most used first. It reads a limited part of the matches, whatever their number. It
-- reads all counts with the same number of digits together. If there are many, it reads one count after another.
-- The planner must use the indexes in their order, whatever it estimates.
CREATE OR REPLACE FUNCTION technologies_beginning(beginning text, max_rows bigint) RETURNS SETOF technology_counts
LANGUAGE plpgsql STABLE
SET search_path FROM CURRENT SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
  many CONSTANT integer := 200;
  first CONSTANT text := lower(beginning);
  -- This is after every name with this beginning, because a name has at most 100 characters.
  last CONSTANT text := first || repeat(chr(1114111), 100);
  missing bigint := max_rows;
  digits integer := length((SELECT projects FROM technology_counts ORDER BY -projects LIMIT 1)::text);
  alike technology_counts[];
  uses bigint;
  returned integer;
BEGIN
  WHILE digits > 0 AND missing > 0 LOOP
    alike := ARRAY(SELECT counts FROM technology_counts AS counts
      WHERE length(projects::text) = digits AND lower(technology) COLLATE "C" BETWEEN first AND last LIMIT many + 1);
    IF cardinality(alike) <= many THEN
      RETURN QUERY SELECT * FROM unnest(alike);
      missing := missing - cardinality(alike);
    ELSE
      uses := 10::bigint ^ digits;
      WHILE missing > 0 LOOP
        uses := (SELECT projects FROM technology_counts WHERE -projects > -uses ORDER BY -projects LIMIT 1);
        EXIT WHEN uses IS NULL OR length(uses::text) < digits;
        RETURN QUERY SELECT * FROM technology_counts
          WHERE -projects = -uses AND lower(technology) COLLATE "C" BETWEEN first AND last
          ORDER BY -projects, lower(technology) COLLATE "C", technology LIMIT missing;
        GET DIAGNOSTICS returned = ROW_COUNT;
        missing := missing - returned;
      END LOOP;
    END IF;
    digits := digits - 1;
  END LOOP;
END
$$;
--> statement-breakpoint
-- functions/technology_changes_fold.sql
-- Folds when a write with a due note commits (fold_is_due). An earlier fold would hold its lock for the rest of a long
-- transaction. Only a due note is updated, so that other notes have no trigger whose condition would be read again
-- for each statement.
CREATE OR REPLACE FUNCTION technology_changes_fold() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM fold_technology_changes(2000);
  RETURN NULL;
END
$$;
--> statement-breakpoint
DROP TRIGGER IF EXISTS technology_changes_fold ON technology_changes;
--> statement-breakpoint
CREATE CONSTRAINT TRIGGER technology_changes_fold AFTER UPDATE ON technology_changes
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
EXECUTE FUNCTION technology_changes_fold();
