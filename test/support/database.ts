import { randomUUID } from 'node:crypto';
import postgres from 'postgres';
import { EMPTY_TEMPLATE, MIGRATED_TEMPLATE } from './templates.js';

export interface TestDatabase {
  url: string;
  drop(): Promise<void>;
}

/** A database of its own with every migration applied. */
export function createTestDatabase(): Promise<TestDatabase> {
  return clone(MIGRATED_TEMPLATE);
}

/** A database of its own with nothing in it. */
export function createEmptyDatabase(): Promise<TestDatabase> {
  return clone(EMPTY_TEMPLATE);
}

async function clone(template: string): Promise<TestDatabase> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await onServer(`create database ${name} template ${template} strategy file_copy`);
  const url = new URL(process.env.TEST_DATABASE_URL!);
  url.pathname = name;
  return { url: url.href, drop: () => onServer(`drop database ${name} with (force)`) };
}

/** Runs a statement on the server's maintenance database. */
async function onServer(statement: string): Promise<void> {
  const sql = postgres(process.env.TEST_DATABASE_URL!, { max: 1, onnotice: () => {} });
  try {
    await sql.unsafe(statement);
  } finally {
    await sql.end();
  }
}
