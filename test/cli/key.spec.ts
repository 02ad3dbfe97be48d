import { hash } from 'node:crypto';
import { runCli } from '../support/cli.js';
import { startService } from '../support/service.js';

function createKey(...words: string[]) {
  return runCli(['key', 'create', ...words], { variables: {} });
}

it('makes a key and its entry, with which the service recognises it', async () => {
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

it('makes another key each time, to read with unless more is asked for', async () => {
  const [first, second] = [await createKey('dev'), await createKey('dev')];
  expect(first.stdout).not.toBe(second.stdout);
  expect(first.stderr).toContain('AUTH_API_KEYS=dev:read:');
});

it.each(['a b', 'a:b', 'a,b', '', 'x'.repeat(101)])('makes none for the name %j', async (name) => {
  const { status, stdout, stderr } = await createKey(name);
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  expect(stderr).toContain('cannot be the name of a key');
});

it('says which scopes there are', async () => {
  const { status, stderr } = await createKey('ci', '--scopes', 'admin');
  expect(status).toBe(1);
  expect(stderr).toContain('Allowed choices are read, write, read+write');
});
