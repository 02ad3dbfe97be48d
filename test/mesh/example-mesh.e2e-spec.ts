import { spawn } from 'node:child_process';
import { built, ROOT } from '../support/built.js';
import { atEnd, endEachTest, until } from '../support/connections.js';
import { createTestDatabase } from '../support/database.js';
import { withProgram } from '../support/needs.js';

const nats = withProgram('nats-server');
endEachTest();

nats.it(
  'the example of a mesh creates a project by its gateway, its consumer receives the change, and a kill of npm ends it all',
  async () => {
    await built();
    const database = await createTestDatabase();
    atEnd(() => database.drop());
    const { PATH, HOME } = process.env;
    const child = spawn('npm', ['run', '-s', 'example:mesh'], {
      cwd: ROOT,
      env: { PATH, HOME, DATABASE_URL: database.url, NATS_SERVER: nats.file, PORT: '0' },
      detached: true,
    });
    const group = -child.pid!;
    atEnd(() => isAlive(group) && process.kill(group, 'SIGKILL'));
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => (said += chunk));
    const isUp = () => {
      if (child.exitCode !== null) throw new Error(said);
      return said.includes('mesh: is up');
    };
    await until(isUp, 180_000);
    const [, url] = /gateway: listens on (\S+)/.exec(said)!;
    const created = await fetch(url!, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ name: 'NATS', description: '', technologies: ['Go'] }),
    });
    expect(await created.json()).toEqual({ id: expect.any(String), etag: '"1"' });
    const listed = await fetch(`${url}?uses=Go`);
    expect(await listed.json()).toEqual(['NATS']);
    await until(() => said.includes('consumer: created NATS\n'), 60_000);
    child.kill('SIGTERM');
    await until(() => !isAlive(group), 60_000);
  },
  300_000,
);

/** True while a process of the group runs. */
function isAlive(group: number): boolean {
  try {
    return process.kill(group, 0);
  } catch {
    return false;
  }
}
