import { randomUUID } from 'node:crypto';
import postgres from 'postgres';

/** A database for one test file. */
export interface TestDatabase {
  url: string;
  /** Drops the database. It also ends the open connections. */
  drop(): Promise<void>;
}

/**
 * Creates a database on the server of `startTestServer`: a copy of a template or, without a template, an empty
 * database. A copy takes some tens of milliseconds.
 */
export async function createTestDatabase(
  serverUrl: string | undefined,
  template?: string,
): Promise<TestDatabase> {
  if (!serverUrl) {
    throw new TypeError(
      'createTestDatabase needs the url of the server that startTestServer returned.',
    );
  }
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  const source = template === undefined ? 'template0' : templateName(template);
  try {
    await onServer(serverUrl, [`create database ${name} template ${source} strategy file_copy`]);
  } catch (error) {
    if (!/^template database/.test((error as Error).message)) throw error;
    const message = `There is no template ${template}: pass it to startTestServer.`;
    throw new Error(message, { cause: error });
  }
  const url = new URL(serverUrl);
  url.pathname = name;
  return { url: url.href, drop: () => onServer(serverUrl, [`drop database ${name} with (force)`]) };
}

/** Returns the name of the database of a template. */
export function templateName(name: string): string {
  if (!/^[a-z][a-z0-9_]{0,36}$/.test(name)) {
    throw new TypeError(`The name of the template ${name} must match [a-z][a-z0-9_]{0,36}.`);
  }
  return `projects_service_template_${name}`;
}

/** Runs statements on the server's maintenance database, one after another. */
export async function onServer(url: string, statements: string[]): Promise<void> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    for (const statement of statements) await sql.unsafe(statement);
  } finally {
    await sql.end();
  }
}
