-- As before, but by the indexes whatever the planner thinks. A session plans the statements of a trigger
-- once, and an import is one transaction: planned while the tables were empty, as on the first day, each
-- of its statements went through all that had been written before it. Each look-up is one of its own here,
-- not a join that might go the other way round, and tables are not scanned.
CREATE OR REPLACE FUNCTION projects_facets_add() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
BEGIN
  INSERT INTO project_technologies (technology, created_at, project_id)
    SELECT item, created_at, id FROM added, jsonb_array_elements_text(technologies) AS item;
  INSERT INTO technology_changes (technology, change)
    SELECT item, count(*) FROM added, jsonb_array_elements_text(technologies) AS item GROUP BY item;
  INSERT INTO name_words (word)
    SELECT DISTINCT typed FROM added, typo_words(name) AS typed
    WHERE (SELECT count(*) FROM name_words WHERE word = typed) = 0;
  PERFORM fold_technology_changes_now_and_then();
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE FUNCTION projects_facets_remove() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
BEGIN
  DELETE FROM project_technologies WHERE ctid = ANY (ARRAY(
    SELECT (
      SELECT gone.ctid FROM project_technologies AS gone
      WHERE technology = item AND gone.created_at = removed.created_at AND project_id = removed.id
    ) FROM removed, jsonb_array_elements_text(removed.technologies) AS item
  ));
  INSERT INTO technology_changes (technology, change)
    SELECT item, -count(*) FROM removed, jsonb_array_elements_text(technologies) AS item GROUP BY item;
  PERFORM fold_technology_changes_now_and_then();
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE FUNCTION projects_facets_change() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
BEGIN
  DELETE FROM project_technologies
    WHERE technology = ANY (ARRAY(SELECT jsonb_array_elements_text(OLD.technologies)))
      AND created_at = OLD.created_at AND project_id = OLD.id;
  INSERT INTO project_technologies (technology, created_at, project_id)
    SELECT item, NEW.created_at, NEW.id FROM jsonb_array_elements_text(NEW.technologies) AS item;
  INSERT INTO technology_changes (technology, change)
    SELECT item, -1 FROM jsonb_array_elements_text(OLD.technologies) AS item
    UNION ALL SELECT item, 1 FROM jsonb_array_elements_text(NEW.technologies) AS item;
  PERFORM fold_technology_changes_now_and_then();
  RETURN NULL;
END
$$;
--> statement-breakpoint
CREATE OR REPLACE FUNCTION projects_name_words() RETURNS trigger LANGUAGE plpgsql
SET enable_seqscan = off AS $$
BEGIN
  INSERT INTO name_words (word)
    SELECT typed FROM typo_words(NEW.name) AS typed
    WHERE (SELECT count(*) FROM name_words WHERE word = typed) = 0;
  RETURN NULL;
END
$$;
