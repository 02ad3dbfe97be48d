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
