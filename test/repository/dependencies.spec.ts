import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';

it('keeps postgres.js at the version that the canaries were last run on', async () => {
  // After an upgrade: npm test -- --selectProjects canaries, read src/db/driver/postgres-js.ts, then change it here.
  const main = createRequire(import.meta.url).resolve('postgres');
  const manifest = main.replace(/cjs.*$/, 'package.json');
  expect(JSON.parse(await readFile(manifest, 'utf8'))).toMatchObject({ version: '3.4.9' });
});
