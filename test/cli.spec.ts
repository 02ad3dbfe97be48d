import { spawnSync } from 'node:child_process';
import { createDatabaseConnection } from '../src/db/connection.js';
import { createProjectsFactory } from '../src/db/factories/projects.factory.js';
import { createEmptyDatabase, type TestDatabase } from './support/database.js';

let database: TestDatabase;
beforeEach(async () => (database = await createEmptyDatabase()));
afterEach(() => database.drop());

it('tells what is pending, applies it, and tells that all is well', () => {
  const before = cli('status');
  expect(before).toMatchObject({ status: 1, stderr: '' });
  expect(before.stdout).toMatch(/^applied: none\npending: 0000_functions, 0001_projects,/);

  expect(cli('migrate').stdout).toMatch(/^applied 0000_functions, 0001_projects,/);
  expect(cli('migrate').stdout).toBe('nothing to apply\n');
  const after = cli('status');
  expect(after).toMatchObject({ status: 0, stderr: '' });
  expect(after.stdout).toMatch(/^applied: 0000_functions, [^:]*\n$/);
});

it('seeds a catalogue, and a second time changes nothing', async () => {
  expect(cli('seed').stdout).toBe('30 projects created, 0 were there\n');
  const seeded = await allProjects();
  expect(cli('seed').stdout).toBe('0 projects created, 30 were there\n');
  expect(await allProjects()).toEqual(seeded);
});

it('tells in one line, without a stack, that the database cannot be reached', () => {
  const { status, stderr } = cli('status', 'postgres://127.0.0.1:1/nowhere');
  expect({ status, stderr }).toEqual({
    status: 1,
    stderr: expect.stringMatching(/^[^\n]*(cannot be reached|ECONNREFUSED)[^\n]*\n$/),
  });
});

it('tells every fault of the environment and exits with 78', () => {
  const { status, stderr } = cli('status', 'mysql://127.0.0.1/x', { PORT: 'x' });
  expect(status).toBe(78);
  expect(stderr).toContain('DATABASE_URL');
  expect(stderr).toContain('PORT');
});

function cli(command: string, url = database.url, variables: Record<string, string> = {}) {
  const env = { PATH: process.env.PATH, DATABASE_URL: url, ...variables };
  const { status, stdout, stderr } = spawnSync(process.execPath, ['dist/cli/main.js', command], {
    env,
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

async function allProjects() {
  const { db, close } = createDatabaseConnection({ url: database.url });
  try {
    return await createProjectsFactory(db).getAllProjects(1000);
  } finally {
    await close();
  }
}
