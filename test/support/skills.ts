import { Module } from '@nestjs/common';
import { integer, pgSchema, text, uuid, varchar } from 'drizzle-orm/pg-core';
import {
  atLeast,
  createTimestamps,
  defineEntity,
  EntityDto,
  entityModule,
  entityResource,
  EnumField,
  IntegerField,
  oneOf,
  TextField,
} from '../../src/index.js';

/** A table of a host application in its own schema. Its names differ from those of the guide's table. */
const CATEGORIES = ['language', 'tool'] as const;
const skills = pgSchema('host').table('team_skills', {
  id: uuid('id').primaryKey().defaultRandom(),
  name: varchar('name', { length: 100 }).notNull().unique(),
  category: text('category', { enum: CATEGORIES }).notNull(),
  proficiency: integer('proficiency').notNull(),
  ...createTimestamps(),
  version: integer('version').notNull().default(1),
});

/** The host's own migration: it creates the table and attaches history and feed. */
export const SKILLS_MIGRATION = `
  create schema host;
  create table host.team_skills (
    id uuid primary key default gen_random_uuid(), name varchar(100) not null unique,
    category text not null, proficiency integer not null, created_at timestamptz(3) not null default now(),
    updated_at timestamptz(3) not null default now(), version integer not null default 1);
  select track_changes('host.team_skills', 'talent');`;

export const SKILL = defineEntity({
  name: 'talent',
  table: skills,
  written: ['name', 'category', 'proficiency'],
  sorts: ['name', 'proficiency'],
  filters: {
    category: oneOf(skills.category),
    minProficiency: atLeast(skills.proficiency, { min: 1, max: 5 }),
    id: oneOf(skills.id),
  },
});

class SkillDto extends EntityDto {
  @TextField({ min: 1, max: 100 })
  name!: string;

  @EnumField(CATEGORIES)
  category!: (typeof CATEGORIES)[number];

  @IntegerField({ min: 1, max: 5 })
  proficiency!: number;
}

export const SKILLS = entityResource(SKILL, { path: 'skills', dto: SkillDto });

@Module(entityModule(SKILLS, { transfer: true }))
export class SkillsModule {}
