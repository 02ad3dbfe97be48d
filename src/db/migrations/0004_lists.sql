CREATE TABLE "name_words" (
	"word" text PRIMARY KEY NOT NULL
);
--> statement-breakpoint
CREATE TABLE "project_technologies" (
	"technology" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"project_id" uuid NOT NULL,
	CONSTRAINT "project_technologies_technology_created_at_project_id_pk" PRIMARY KEY("technology","created_at","project_id")
);
--> statement-breakpoint
CREATE TABLE "technology_changes" (
	"technology" text NOT NULL,
	"change" integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE "technology_counts" (
	"technology" text PRIMARY KEY NOT NULL,
	"projects" bigint NOT NULL
);
--> statement-breakpoint
ALTER TABLE "projects" ADD COLUMN "search" "tsvector" GENERATED ALWAYS AS (project_search(name, technologies, description)) STORED;--> statement-breakpoint
CREATE INDEX "name_words_trigram_index" ON "name_words" USING gin ("word" gin_trgm_ops);--> statement-breakpoint
CREATE INDEX "projects_updated_at_id_index" ON "projects" USING btree ("updated_at","id");--> statement-breakpoint
CREATE INDEX "projects_name_id_index" ON "projects" USING btree ("name","id");--> statement-breakpoint
CREATE INDEX "projects_search_index" ON "projects" USING gin ("search");