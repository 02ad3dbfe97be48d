CREATE TABLE "projects" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"name" varchar(255) NOT NULL,
	"description" text NOT NULL,
	"technologies" jsonb NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	CONSTRAINT "projects_name_check" CHECK (btrim("projects"."name") <> ''),
	CONSTRAINT "projects_description_check" CHECK (char_length("projects"."description") <= 20000),
	CONSTRAINT "projects_technologies_check" CHECK (is_distinct_text_array("projects"."technologies", 100, 100)),
	CONSTRAINT "projects_version_check" CHECK ("projects"."version" > 0)
);
--> statement-breakpoint
CREATE INDEX "projects_created_at_id_index" ON "projects" USING btree ("created_at","id");