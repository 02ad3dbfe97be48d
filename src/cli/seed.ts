import type { Db } from '../db/connection.js';
import { DataError } from '../db/errors.js';
import { createProjectsFactory } from '../db/factories/projects/projects.factory.js';
import { CATALOGUE } from './catalogue.js';

/** Inserts the demonstration catalogue. Projects that exist already are not changed. */
export async function seed(db: Db): Promise<{ created: number; present: number }> {
  const projects = createProjectsFactory(db);
  let created = 0;
  for (const [index, values] of CATALOGUE.entries()) {
    try {
      await projects.putProject(idOf(index), values, { notVersions: 'any' });
      created++;
    } catch (error) {
      if (!(error instanceof DataError && error.code === 'version_mismatch')) throw error;
    }
  }
  return { created, present: CATALOGUE.length - created };
}

function idOf(index: number): string {
  return `00000000-0000-4000-8000-${String(index + 1).padStart(12, '0')}`;
}
