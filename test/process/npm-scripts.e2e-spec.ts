import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { aProject } from '../support/builders.js';
import { until } from '../support/connections.js';
import { built, ROOT } from '../support/built.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { createFolder, killServices } from '../support/process.js';
import { ndjson, onDatabase } from '../support/transfer.js';

let database: TestDatabase;
let children: ChildProcess[] = [];
beforeAll(async () => {
  await built();
  database = await createTestDatabase();
});
afterEach(() => {
  for (const { pid } of children) kill(-pid!);
  children = [];
});
afterAll(async () => {
  await killServices();
  await database.drop();
});

it('kill -TERM of `npm start` also ends the service and the PostgreSQL that it started', async () => {
  const folder = await createFolder();
  const { npm, output } = start(['start'], { EMBEDDED_POSTGRES_DIR: folder });
  await until(() => output().includes('listens on'));
  const pid = Number(/"pid":(\d+)/.exec(output())![1]);
  expect(isAlive(pid)).toBe(true);
  expect(existsSync(path.join(folder, 'data/postmaster.pid'))).toBe(true);

  npm.kill('SIGTERM');
  await until(() => !isAlive(pid));
  expect(existsSync(path.join(folder, 'data/postmaster.pid'))).toBe(false);
});

it('kill -TERM of `npm run cli` also ends its work and leaves nothing incomplete', async () => {
  const fifo = path.join(await createFolder(), 'rows');
  execFileSync('mkfifo', [fifo]);
  // Node would close a pipe of its own when npm has ended, and the file would be complete.
  const writing = await open(fifo, 'r+');
  const reading = await open(fifo, 'r');
  try {
    const { npm, output } = start(
      ['run', '-s', 'cli', '--', 'import', '-'],
      { DATABASE_URL: database.url },
      reading.fd,
    );
    // This is enough for the import to begin; the rest of the file does not arrive.
    await writing.write(ndjson(...Array.from({ length: 3000 }, () => aProject())));
    await until(async () => (await transactions()) > 0);
    npm.kill('SIGTERM');
    await until(async () => (await transactions()) === 0);
    await until(() => output().includes('Interrupted.'));
  } finally {
    await Promise.all([writing.close(), reading.close()]);
  }
});

function start(
  words: string[],
  variables: Record<string, string>,
  input: number | 'ignore' = 'ignore',
) {
  const { PATH, HOME } = process.env;
  const env = { PATH, HOME, PORT: '0', ...variables };
  const npm = spawn('npm', words, {
    cwd: ROOT,
    env,
    detached: true,
    stdio: [input, 'pipe', 'pipe'],
  });
  children.push(npm);
  let output = '';
  for (const stream of [npm.stdout!, npm.stderr!])
    stream.on('data', (part) => (output += String(part)));
  return { npm, output: () => output };
}

function transactions(): Promise<number> {
  return onDatabase(database.url, async (sql) => {
    const others = await sql`select from pg_stat_activity where datname = current_database()
      and pid <> pg_backend_pid() and backend_type = 'client backend' and xact_start is not null`;
    return others.length;
  });
}

function isAlive(pid: number): boolean {
  return kill(pid, 0);
}

function kill(pid: number, signal: NodeJS.Signals | 0 = 'SIGKILL'): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
