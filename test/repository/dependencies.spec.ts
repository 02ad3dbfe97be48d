import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

/** A file with all uses of internals of a library, and the texts that such uses in other files would contain. */
const INTERNALS: Record<string, RegExp[]> = {
  'src/db/driver/postgres-js.ts': [
    /\bPostgresError\b/,
    /\boptions\.(parsers|serializers) = /,
    /\bfetch_types\b[^;]*\bsocket\b/,
  ],
  'src/db/query/drizzle-internals.ts': [
    /\bcustomResultMapper\b/,
    /\$client\b/,
    /\bnew (Subquery|PgDialect|PgSession)\b/,
    /\bPgTransaction\b/,
    /\bas unknown as Sql\b/,
  ],
  'src/http/internals/nest.ts': [
    /\b[A-Z_]+_METADATA\b/,
    /\bRouteParamtypes\b/,
    /\bModulesContainer\b[^;]*'@nestjs\/core'/,
    /\btrackOpenConnections\b/,
  ],
  'src/http/internals/swagger.ts': [/'swagger\/\w+'/, /\bSWAGGER\b/],
  'src/http/internals/express.ts': [
    /\.stack\b[^;]*\broute\b/,
    /\brouter\??: \{/,
    /\b_all\b/,
    /'(etag|trust proxy|query parser) fn'/,
    /\bsettings\b[^;]*\bapp\b|\bapp\.settings\b/,
    /\bapp\.(request|response)\b/,
  ],
  'src/http/internals/class-transformer.ts': [/\bdefaultMetadataStorage\b/],
  'src/http/internals/class-validator.ts': [/\bgetMetadataStorage\b/],
  'src/http/internals/node.ts': [/\b_(handle|httpMessage|parent)\b/, /\brequireHostHeader\b/],
  'src/mesh/draining-servers.ts': [/\bbindEvents\b/, /\bsetOnProcessing\w+Hook\b/],
  'scripts/natural-names.js': [/\b__name\b/],
};

/** The parts of packages that their documentation tells users to import. */
const DOCUMENTED_ENTRIES =
  /^(node:.*|(@[^/]+\/)?[^/]+|drizzle-orm\/(pg-core|postgres-js|migrator))$/;

const PRIVATE_FIELD = /[\w)\]]\??\._[a-z]\w*/;

interface Manifest {
  [kind: string]: Record<string, string> | undefined;
}

/** The packages whose internals a file uses. Its comments name them as `name@version`. */
function namedVersions(text: string): [name: string, version: string][] {
  return [...text.matchAll(/((?:@[\w-]+\/)?[\w-]+)@(\d+\.\d+\.\d+)/g)].map((match) => [
    match[1]!,
    match[2]!,
  ]);
}

function versionFaults(manifest: Manifest, name: string, version: string): string[] {
  const kinds = ['dependencies', 'devDependencies', 'peerDependencies', 'overrides'];
  const specs = kinds.flatMap((kind) => manifest[kind]?.[name] ?? []);
  if (specs.length === 0) return [`${name} is not named in package.json`];
  return specs
    .filter((spec) => spec !== version)
    .map((spec) => `${name} is pinned to ${spec} in package.json, not to ${version}`);
}

function faultsOf(file: string, text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
  const others = Object.entries(INTERNALS).filter(([owner]) => owner !== file);
  const used = others.flatMap(([owner, patterns]) =>
    patterns.flatMap((pattern) => {
      const found = pattern.exec(code)?.[0];
      return found === undefined ? [] : [`${file} uses ${found}, which belongs in ${owner}`];
    }),
  );
  if (file in INTERNALS) return used;
  const deep = [...code.matchAll(/(?:from|import\(?) ?'([^.'][^']*)'/g)]
    .map((match) => match[1]!)
    .filter((specifier) => !DOCUMENTED_ENTRIES.test(specifier))
    .map((specifier) => `${file} imports ${specifier}, which is no documented entry`);
  const field = PRIVATE_FIELD.exec(code)?.[0];
  return [...used, ...deep, ...(field ? [`${file} reads the private field ${field}`] : [])];
}

it.each(Object.keys(INTERNALS))(
  'package.json pins the exact versions of the packages whose internals %s uses',
  async (file) => {
    // After an upgrade, read that file, run `npm test -- --selectProjects canaries`, then change the version there.
    const manifest = JSON.parse(await readFile('package.json', 'utf8')) as Manifest;
    const named = namedVersions(await readFile(file, 'utf8'));
    expect(named.length > 0).toBe(!file.endsWith('/node.ts'));
    for (const [name, version] of named) {
      expect(versionFaults(manifest, name, version)).toEqual([]);
      const installed = await readFile(`node_modules/${name}/package.json`, 'utf8');
      expect(JSON.parse(installed)).toMatchObject({ version });
    }
  },
);

it.each([
  ['^5.3.0', ['express is pinned to ^5.3.0 in package.json, not to 5.3.0']],
  ['5.4.0', ['express is pinned to 5.4.0 in package.json, not to 5.3.0']],
  ['5.3.0', []],
])('the check refuses a version range and another version: %s', (spec, faults) => {
  expect(versionFaults({ dependencies: { express: spec } }, 'express', '5.3.0')).toEqual(faults);
  expect(versionFaults({}, 'express', '5.3.0')).toEqual(['express is not named in package.json']);
});

it('one file for each library contains the uses of its internals', async () => {
  const names = (await readdir('src', { recursive: true })).filter((name) => name.endsWith('.ts'));
  const files = names.map((name) => path.posix.join('src', name));
  const owners = Object.keys(INTERNALS).filter((owner) => owner.startsWith('src/'));
  expect(files).toEqual(expect.arrayContaining(owners));
  const faults = files.map(async (file) => faultsOf(file, await readFile(file, 'utf8')));
  expect((await Promise.all(faults)).flat()).toEqual([]);
});

it.each([
  ["import { METHOD_METADATA } from '@nestjs/common/constants.js';", 'nest.ts'],
  ["import { Injector } from '@nestjs/core/injector/injector.js';", '@nestjs/core/injector'],
  ["import { ModulesContainer } from '@nestjs/core';", 'nest.ts'],
  ["Reflect.getMetadata('swagger/apiResponse', handler);", 'swagger.ts'],
  ['const { router } = app as { router?: { stack: Layer[] } };', 'express.ts'],
  ["const isTrusted = req.app.get('trust proxy fn');", 'express.ts'],
  ["import { storage } from 'class-transformer/cjs/storage.js';", 'class-transformer/cjs'],
  ["import { getMetadataStorage } from 'class-validator';", 'class-validator.ts'],
  ['query.customResultMapper = (rows) => rows;', 'drizzle-internals.ts'],
  ['const { $client } = db;', 'drizzle-internals.ts'],
  ["import { PgSession } from 'drizzle-orm/pg-core/session';", 'drizzle-orm/pg-core/session'],
  ["const storage = await import('drizzle-orm/alias');", 'drizzle-orm/alias'],
  ['if (error instanceof postgres.PostgresError) return;', 'postgres-js.ts'],
  ['const busy = socket._httpMessage;', 'node.ts'],
  ['const rows = query._config;', '._config'],
])('the check refuses such uses elsewhere: %s', (text, culprit) => {
  const faults = faultsOf('src/http/a.ts', `${text}\n`);
  expect(faults.length).toBeGreaterThan(0);
  expect(faults.join()).toContain(culprit);
  expect(faultsOf('src/http/a.ts', `// ${text}\n`)).toEqual([]);
});
