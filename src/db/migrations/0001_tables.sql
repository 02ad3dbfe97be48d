CREATE TABLE "change_commits" (
	"position" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "change_commits_position_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"change_set" bigint NOT NULL,
	"entity" text NOT NULL,
	"at" timestamp (3) with time zone DEFAULT clock_timestamp() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "change_expiry" (
	"only" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"position" bigint DEFAULT 0 NOT NULL,
	"sequence" bigint DEFAULT 0 NOT NULL,
	"at" timestamp (3) with time zone,
	CONSTRAINT "change_expiry_only_check" CHECK ("change_expiry"."only")
);
--> statement-breakpoint
CREATE TABLE "changes" (
	"sequence" bigint GENERATED ALWAYS AS IDENTITY (sequence name "changes_sequence_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"change_set" bigint NOT NULL,
	"entity" text NOT NULL,
	"entity_id" uuid NOT NULL,
	"version" integer NOT NULL,
	"action" text NOT NULL,
	"before" json,
	"after" json,
	"actor" text DEFAULT '' NOT NULL,
	"request_id" text DEFAULT '' NOT NULL,
	"at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "changes_change_set_sequence_pk" PRIMARY KEY("change_set","sequence")
);
--> statement-breakpoint
CREATE TABLE "idempotency_keys" (
	"caller" text NOT NULL,
	"key" text NOT NULL,
	"fingerprint" text NOT NULL,
	"status" integer,
	"headers" json,
	"body" json,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "idempotency_keys_caller_key_pk" PRIMARY KEY("caller","key")
);
--> statement-breakpoint
CREATE TABLE "name_words" (
	"word" text NOT NULL,
	"id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "name_words_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	CONSTRAINT "name_words_word_id_pk" PRIMARY KEY("word","id")
);
--> statement-breakpoint
CREATE TABLE "project_technologies" (
	"technology" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"project_id" uuid NOT NULL,
	CONSTRAINT "project_technologies_distinct" PRIMARY KEY("technology","created_at","project_id"),
	CONSTRAINT "project_technologies_technology_check" CHECK (char_length("project_technologies"."technology") between 1 and 100)
);
--> statement-breakpoint
CREATE TABLE "projects" (
	"id" uuid PRIMARY KEY DEFAULT gen_random_uuid() NOT NULL,
	"name" varchar(255) NOT NULL,
	"description" text NOT NULL,
	"technologies" jsonb NOT NULL,
	"created_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp (3) with time zone DEFAULT now() NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"search" "tsvector" GENERATED ALWAYS AS (project_search(name, technologies, description, created_at)) STORED,
	CONSTRAINT "projects_name_check" CHECK (btrim("projects"."name") <> ''),
	CONSTRAINT "projects_description_check" CHECK (char_length("projects"."description") <= 20000),
	CONSTRAINT "projects_technologies_check" CHECK (is_text_list("projects"."technologies", 100)),
	CONSTRAINT "projects_version_check" CHECK ("projects"."version" > 0)
);
--> statement-breakpoint
CREATE TABLE "relays" (
	"name" text PRIMARY KEY NOT NULL,
	"holder" uuid,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"position" bigint,
	"sequence" bigint,
	"commit_time" bigint
);
--> statement-breakpoint
CREATE TABLE "technology_changes" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "technology_changes_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"technologies" jsonb[] DEFAULT '{}' NOT NULL,
	"changes" integer[] DEFAULT '{}' NOT NULL,
	"names" text[] DEFAULT '{}' NOT NULL,
	"entries" integer NOT NULL,
	"is_due" boolean DEFAULT false NOT NULL
);
--> statement-breakpoint
CREATE TABLE "technology_counts" (
	"technology" text PRIMARY KEY NOT NULL,
	"projects" bigint NOT NULL
);
--> statement-breakpoint
CREATE INDEX "change_commits_entity_position_index" ON "change_commits" USING btree ("entity","position");--> statement-breakpoint
CREATE INDEX "changes_entity_id_sequence_index" ON "changes" USING btree ("entity_id","sequence");--> statement-breakpoint
CREATE INDEX "idempotency_keys_created_at_index" ON "idempotency_keys" USING btree ("created_at");--> statement-breakpoint
CREATE INDEX "name_words_trigram_index" ON "name_words" USING gin ("word" gin_trgm_ops);--> statement-breakpoint
CREATE INDEX "projects_created_at_id_index" ON "projects" USING btree ("created_at","id");--> statement-breakpoint
CREATE INDEX "projects_updated_at_id_index" ON "projects" USING btree ("updated_at","id");--> statement-breakpoint
CREATE INDEX "projects_name_id_index" ON "projects" USING btree ("name","id");--> statement-breakpoint
CREATE INDEX "projects_search_index" ON "projects" USING gin ("search");--> statement-breakpoint
CREATE INDEX "technology_counts_order_index" ON "technology_counts" USING btree ((-"projects"),(lower("technology") collate "C"),"technology");--> statement-breakpoint
CREATE INDEX "technology_counts_beginning_index" ON "technology_counts" USING btree (length("projects"::text),(lower("technology") collate "C"));