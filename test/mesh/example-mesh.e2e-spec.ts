import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { built, ROOT } from '../support/built.js';
import { atEnd, endEachTest, until } from '../support/connections.js';
import { createTestDatabase } from '../support/database.js';
import { withProgram } from '../support/needs.js';

const nats = withProgram('nats-server');
endEachTest();

nats.it(
  'the example of a mesh creates a project by its gateway, and its consumer receives the change',
  async () => {
    await built();
    const database = await createTestDatabase();
    atEnd(() => database.drop());
    const { PATH, HOME } = process.env;
    const child = spawn(process.execPath, ['examples/mesh/start.js'], {
      cwd: ROOT,
      env: { PATH, HOME, DATABASE_URL: database.url, NATS_SERVER: nats.file, PORT: '0' },
    });
    atEnd(() => child.kill('SIGKILL'));
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
    const ended = once(child, 'exit');
    child.kill('SIGINT');
    expect(await ended).toEqual([0, null]);
  },
  300_000,
);
