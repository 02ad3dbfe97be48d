import {
  createTestDatabase as create,
  type TestDatabase,
} from '../../src/db/embedded/test-database.js';

export type { TestDatabase };

/** Creates a database with every migration applied. */
export function createTestDatabase(): Promise<TestDatabase> {
  return create(process.env.TEST_DATABASE_URL, 'migrated');
}

/** Creates an empty database. */
export function createEmptyDatabase(): Promise<TestDatabase> {
  return create(process.env.TEST_DATABASE_URL);
}
