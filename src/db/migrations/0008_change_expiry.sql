ALTER TABLE "change_commits" ALTER COLUMN "at" SET DEFAULT clock_timestamp();--> statement-breakpoint
ALTER TABLE "change_expiry" ADD COLUMN "sequence" bigint DEFAULT 0 NOT NULL;