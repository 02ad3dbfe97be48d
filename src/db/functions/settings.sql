-- Planner statistics and rows that drizzle's schema cannot express. Every statement can run again.

-- The planner chooses between walking an index and using the search index by how common a word is.
ALTER TABLE projects ALTER COLUMN search SET STATISTICS 1000;
--> statement-breakpoint
-- A list looks up each project of one technology once. From its own sample the planner assumes that
-- ids repeat and adds a hash table (Memoize), which costs a seventh of a list's time and never hits.
ALTER TABLE project_technologies ALTER COLUMN project_id SET (n_distinct = -1);
--> statement-breakpoint
INSERT INTO change_expiry DEFAULT VALUES ON CONFLICT DO NOTHING;
