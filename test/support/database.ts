import {
  createTestDatabase as create,
  type TestDatabase,
} from '../../src/db/embedded/test-database.js';

export type { TestDatabase };

/** A database of its own with every migration applied. */
export function createTestDatabase(): Promise<TestDatabase> {
  return create(process.env.TEST_DATABASE_URL, 'migrated');
}

/** A database of its own with nothing in it. */
export function createEmptyDatabase(): Promise<TestDatabase> {
  return create(process.env.TEST_DATABASE_URL);
}
