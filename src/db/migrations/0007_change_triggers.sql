-- A moment as the API writes it.
CREATE FUNCTION api_moment(moment timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;
--> statement-breakpoint
-- A project as the API answers it.
CREATE FUNCTION project_document(id uuid, name text, description text, technologies jsonb,
  created_at timestamptz, updated_at timestamptz, version integer)
RETURNS json LANGUAGE sql STABLE PARALLEL SAFE AS $$
  SELECT json_build_object('id', id, 'name', name, 'description', description, 'technologies', technologies,
    'createdAt', api_moment(created_at), 'updatedAt', api_moment(updated_at), 'version', version)
$$;
--> statement-breakpoint
-- Who changes something, and by which request: for the rest of the transaction, in the history.
CREATE FUNCTION note_author(actor text, request_id text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('projects.actor', actor, true), set_config('projects.request_id', request_id, true);
END
$$;
--> statement-breakpoint
-- The changes of one transaction are one set, named by the first of them.
CREATE FUNCTION changes_join_set() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.change_set := coalesce(nullif(current_setting('projects.change_set', true), '')::bigint, NEW.sequence);
  IF NEW.change_set = NEW.sequence THEN
    PERFORM set_config('projects.change_set', NEW.sequence::text, true);
  END IF;
  NEW.actor := coalesce(current_setting('projects.actor', true), '');
  NEW.request_id := coalesce(current_setting('projects.request_id', true), '');
  RETURN NEW;
END
$$;
--> statement-breakpoint
CREATE TRIGGER changes_join_set BEFORE INSERT ON changes
FOR EACH ROW EXECUTE FUNCTION changes_join_set();
--> statement-breakpoint
-- Gives a transaction its place in the order of commits, as the last thing before it commits. The
-- lock is shared, so that writers do not wait for one another; changes_settled waits for them. Of
-- those who commit at once one notifies: NOTIFY would make each wait for the other's disk write, and
-- a reader that it wakes waits for the rest, who hold the shared lock already.
CREATE FUNCTION changes_take_position() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(hashtext('changes'), 1);
  INSERT INTO change_commits (change_set) VALUES (NEW.change_set);
  IF pg_try_advisory_xact_lock(hashtext('changes'), 2) THEN
    PERFORM pg_notify('changes', '');
  END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE CONSTRAINT TRIGGER changes_take_position AFTER INSERT ON changes
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.sequence = NEW.change_set)
EXECUTE FUNCTION changes_take_position();
--> statement-breakpoint
-- The last position up to which every transaction has committed or was rolled back: a statement
-- that begins after this one sees them all. Waits for those that commit at this moment. For a
-- statement of its own: within a transaction it would hold up every writer until that ends.
CREATE FUNCTION changes_settled() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('changes'), 1);
  RETURN (SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM change_commits_position_seq);
END
$$;
--> statement-breakpoint
CREATE FUNCTION projects_changes_created() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO changes (entity, entity_id, version, action, after)
    SELECT 'project', id, version, 'created',
      project_document(id, name, description, technologies, created_at, updated_at, version)
    FROM added;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE FUNCTION projects_changes_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO changes (entity, entity_id, version, action, before)
    SELECT 'project', id, version + 1, 'deleted',
      project_document(id, name, description, technologies, created_at, updated_at, version)
    FROM removed;
  RETURN NULL;
END
$$;
--> statement-breakpoint
-- A new id makes another project of it.
CREATE FUNCTION projects_changes_updated() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  old_document json := project_document(OLD.id, OLD.name, OLD.description, OLD.technologies,
    OLD.created_at, OLD.updated_at, OLD.version);
  new_document json := project_document(NEW.id, NEW.name, NEW.description, NEW.technologies,
    NEW.created_at, NEW.updated_at, NEW.version);
BEGIN
  IF NEW.id = OLD.id THEN
    INSERT INTO changes (entity, entity_id, version, action, before, after)
      VALUES ('project', NEW.id, NEW.version, 'updated', old_document, new_document);
  ELSE
    INSERT INTO changes (entity, entity_id, version, action, before, after)
      VALUES ('project', OLD.id, OLD.version + 1, 'deleted', old_document, NULL),
        ('project', NEW.id, NEW.version, 'created', NULL, new_document);
  END IF;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE FUNCTION projects_changes_truncated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO changes (entity, entity_id, version, action, before)
    SELECT 'project', id, version + 1, 'deleted',
      project_document(id, name, description, technologies, created_at, updated_at, version)
    FROM projects;
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE TRIGGER projects_changes_created AFTER INSERT ON projects
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION projects_changes_created();
--> statement-breakpoint
CREATE TRIGGER projects_changes_deleted AFTER DELETE ON projects
REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION projects_changes_deleted();
--> statement-breakpoint
CREATE TRIGGER projects_changes_updated AFTER UPDATE ON projects
FOR EACH ROW EXECUTE FUNCTION projects_changes_updated();
--> statement-breakpoint
CREATE TRIGGER projects_changes_truncated BEFORE TRUNCATE ON projects
FOR EACH STATEMENT EXECUTE FUNCTION projects_changes_truncated();
--> statement-breakpoint
INSERT INTO change_expiry DEFAULT VALUES;
--> statement-breakpoint
-- The projects that were there before their history.
INSERT INTO changes (entity, entity_id, version, action, after)
  SELECT 'project', id, version, 'created',
    project_document(id, name, description, technologies, created_at, updated_at, version)
  FROM projects ORDER BY created_at, id;
--> statement-breakpoint
CREATE OR REPLACE FUNCTION projects_name_words() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO name_words (word)
    SELECT typed FROM typo_words(NEW.name) AS typed WHERE NOT EXISTS (SELECT FROM name_words WHERE word = typed);
  RETURN NULL;
END
$$;
--> statement-breakpoint
-- As before, but for words that name_words holds twice.
CREATE OR REPLACE FUNCTION search_query(words text, all_of text[], any_of text[]) RETURNS tsquery
LANGUAGE plpgsql STABLE SET client_min_messages = warning AS $$
DECLARE
  query tsquery := websearch_to_tsquery('simple', words);
  word_sought text;
  similar_words text;
BEGIN
  -- A word that no name holds may be a typo of one that some do; not in a phrase or behind a minus.
  FOR word_sought IN SELECT typo_words(regexp_replace(words, '-?"[^"]*"|(^|\s)-\S+', ' ', 'g')) LOOP
    CONTINUE WHEN EXISTS (SELECT FROM name_words WHERE word = word_sought);
    SELECT string_agg(word, ' | ') INTO similar_words FROM (
      SELECT word FROM name_words WHERE word % word_sought
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
