import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { atEnd } from './connections.js';
import { createEmptyDatabase } from './database.js';

export const MIGRATIONS = path.resolve(import.meta.dirname, '../../src/db/migrations');

/** Returns the URL of an empty database, which is dropped when the test ends. */
export async function emptyDatabase(): Promise<string> {
  const database = await createEmptyDatabase();
  atEnd(() => database.drop());
  return database.url;
}

interface Journal {
  entries: { idx: number; version: string; when: number; tag: string; breakpoints: boolean }[];
}

/** Creates a copy of the migrations of this code, which a test may change. */
export async function copyOfMigrations() {
  const folder = await mkdtemp(path.join(tmpdir(), 'migrations-'));
  atEnd(() => rm(folder, { recursive: true }));
  await cp(MIGRATIONS, folder, { recursive: true });
  const journalFile = path.join(folder, 'meta/_journal.json');
  const changeJournal = async (change: (entries: Journal['entries']) => Journal['entries']) => {
    const journal = JSON.parse(await readFile(journalFile, 'utf8')) as Journal;
    journal.entries = change(journal.entries);
    await writeFile(journalFile, JSON.stringify(journal));
  };
  return {
    folder,
    changeJournal,
    write: (tag: string, statements: string) =>
      writeFile(path.join(folder, `${tag}.sql`), statements),
    /**
     * Adds a migration with a timestamp this long after the last one of this code, or before it if the number is
     * negative.
     */
    add: async (tag: string, statements: string, afterMs: number) => {
      await writeFile(path.join(folder, `${tag}.sql`), statements);
      await changeJournal((entries) => {
        const last = entries.at(-1)!;
        const added = { ...last, idx: entries.length, tag, when: last.when + afterMs };
        return [...entries, added].sort((a, b) => a.when - b.when);
      });
    },
  };
}

/** The part of a migration status that names faults and pending migrations, when there are none. */
export const NO_FAULTS = {
  pending: [],
  edited: [],
  missing: [],
  newer: [],
  late: [],
  absent: [],
  unrecorded: [],
};
