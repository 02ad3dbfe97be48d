import { hash } from 'node:crypto';
import { runCli } from '../support/cli.js';
import { startService } from '../support/service.js';

function createKey(...words: string[]) {
  return runCli(['key', 'create', ...words], { variables: {} });
}

it('key create creates a key and an entry by which the service recognises it', async () => {
  const { status, stdout, stderr } = await createKey('ci', '--scopes', 'read+write');
  expect(status).toBe(0);
  const key = stdout.trimEnd();
  expect(key).toMatch(/^ps_[\w-]{43}$/);
  const [, AUTH_API_KEYS] = /^ *AUTH_API_KEYS=(.*)$/m.exec(stderr)!;
  expect(AUTH_API_KEYS).toBe(`ci:read+write:${hash('sha256', key)}`);
  expect(stderr).not.toContain(key);

  const service = await startService({ AUTH_MODE: 'api-key', AUTH_API_KEYS });
  const ask = async (token: string) =>
    (await fetch(`${service.url}/api/projects`, { headers: { Authorization: `Bearer ${token}` } }))
      .status;
  expect([await ask(key), await ask(`${key}x`)]).toEqual([200, 401]);
  await service.close();
});

it('key create creates a different key each time, with the scope read by default', async () => {
  const [first, second] = [await createKey('dev'), await createKey('dev')];
  expect(first.stdout).not.toBe(second.stdout);
  expect(first.stderr).toContain('AUTH_API_KEYS=dev:read:');
});

it.each(['a b', 'a:b', 'a,b', '', 'x'.repeat(101)])(
  'key create refuses the name %j',
  async (name) => {
    const { status, stdout, stderr } = await createKey(name);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('cannot be the name of a key');
  },
);

it('key create lists the possible scopes', async () => {
  const { status, stderr } = await createKey('ci', '--scopes', 'admin');
  expect(status).toBe(1);
  expect(stderr).toContain('Allowed choices are read, write, read+write');
});
