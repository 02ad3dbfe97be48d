import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import ts from 'typescript';
import { FOLDER_ORDER } from '../../scripts/folder-order.js';

interface Import {
  specifier: string;
  /** Removes imports of types only (`import type` and `import { type A }`), because they load nothing. */
  typeOnly: boolean;
}

interface Source {
  file: string;
  imports: Import[];
  readsEnvironment: boolean;
}

const OUTSIDE_DATABASE = /^src\/(?!db\/)/;
const ENVIRONMENT_READERS = [
  /^src\/config\//,
  /^test\//,
  // This file passes its own environment to the programs of PostgreSQL, without misleading variables.
  /^src\/db\/embedded\/binaries\.ts$/,
];

it('src/db has no HTTP, the features have no SQL, and no folders depend on each other in a cycle', async () => {
  const trees = ['src', 'test'].map(async (root) =>
    (await readdir(root, { recursive: true })).map((file) => path.posix.join(root, file)),
  );
  const files = (await Promise.all(trees)).flat().filter((file) => file.endsWith('.ts'));
  const sources = await Promise.all(
    files.map(async (file) => parse(file, await readFile(file, 'utf8'))),
  );
  expect(sources.length).toBeGreaterThan(40);
  expect(faultsOf(sources)).toEqual([]);
});

it.each([
  ['src/db/driver/pool.ts', "import { Module } from '@nestjs/common';", 'uses @nestjs/common'],
  [
    'src/db/driver/pool.ts',
    "import type { P } from '../../http/problems/problem.js';",
    'uses src/http/problems/problem.ts',
  ],
  [
    'src/db/a.ts',
    "import { E } from '../config/environment.js';",
    'uses src/config/environment.ts',
  ],
  [
    'src/http/a.ts',
    "import { Environment } from '../config/environment.js';",
    'uses src/config/environment.ts',
  ],
  ['src/projects/a.ts', "import { eq } from 'drizzle-orm';", 'uses drizzle-orm'],
  ['src/cli/a.ts', "import { sql } from 'drizzle-orm/sql';", 'uses drizzle-orm/sql'],
  ['src/http/a.ts', "const sql = await import('postgres');", 'uses postgres'],
  [
    'src/http/a.ts',
    "export * from '../../test/support/service.js';",
    'uses test/support/service.ts',
  ],
  [
    'src/changes/a.ts',
    "import { ProjectDto } from '../projects/dto/project.dto.js';",
    'uses src/projects/dto/project.dto.ts',
  ],
  ['src/projects/a.ts', "import { ask } from '../testing/index.js';", 'uses src/testing/index.ts'],
  ['src/testing/a.ts', "import { AppModule } from '../app.module.js';", 'uses src/app.module.ts'],
  [
    'src/http/a.ts',
    "import type { TrackedEntity } from '../changes/tracked-entity.js';",
    'uses src/changes/tracked-entity.ts',
  ],
  [
    'src/projects/a.ts',
    "import type { Reply } from '../client/transport.js';",
    'uses src/client/transport.ts',
  ],
  ['src/projects/a.ts', "import { b } from '../skills/b.js';", 'uses src/skills/b.ts'],
  [
    'src/auth/a.ts',
    "import { createApplication } from '../application.js';",
    'uses src/application.ts',
  ],
  [
    'src/http/problems/a.ts',
    "import { b } from '../contract/b.js';",
    'uses src/http/contract/b.ts',
  ],
  ['src/db/driver/a.ts', "import { b } from '../entity/b.js';", 'uses src/db/entity/b.ts'],
  ['test/a.spec.ts', "import '../dist/main.js';", 'uses dist/main.ts'],
  ['src/http/a.ts', "import { b } from './b';", 'leaves .js off ./b'],
  ['src/db/a.ts', 'const { PORT } = process.env;', 'reads process.env'],
  ['src/db/a.ts', "import { env } from 'node:process';", 'reads process.env'],
  [
    'src/a/a.controller.ts',
    "import type { ADto } from './dto/a.dto.js';",
    'has ./dto/a.dto.js as a type, which switches its validation off',
  ],
  [
    'src/a/a.controller.ts',
    "import { type ADto, bDto } from './a.dto.js';",
    'has ./a.dto.js as a type, which switches its validation off',
  ],
])('the lint rules refuse in %s: %s', (file, text, fault) => {
  expect(faultsOf([parse(file, text)])).toEqual([`${file} ${fault}`]);
});

/** These folders serve any entity. */
const GENERIC =
  /^src\/((auth|changes|config|entities|health|http|limits|mesh|observability|process|testing)|db\/(driver|embedded|entity|query|replicas))\//;
/** The entities of this service, except in the name of the service. */
const ENTITY = /project(?!s[-_]service)|technolog/i;
/** The embedded server creates the database of the service. */
const MAY_NAME_IT = ['src/db/embedded/embedded-postgres.ts'];

const entityLines = (file: string, text: string) =>
  text
    .split('\n')
    .filter((line) => GENERIC.test(file) && !MAY_NAME_IT.includes(file) && ENTITY.test(line))
    .map((line) => `${file}: ${line.trim()}`);

it('generic folders know no entity, not even in examples and comments', async () => {
  const files = (await readdir('src', { recursive: true })).map((file) => `src/${file}`);
  const generic = files.filter((file) => GENERIC.test(file) && /\.ts$/.test(file));
  expect(generic.length).toBeGreaterThan(100);
  const lines = generic.map(async (file) => entityLines(file, await readFile(file, 'utf8')));
  expect((await Promise.all(lines)).flat()).toEqual([]);
  for (const file of MAY_NAME_IT) expect(await readFile(file, 'utf8')).toMatch(ENTITY);
});

it.each([
  ['src/http/problems/a.ts', "const LIST = '/api/projects';", 1],
  ['src/db/entity/a.ts', '/** The name, such as `Project`. */', 1],
  ['src/changes/a.ts', "import { Technology } from 'b';", 1],
  ['src/config/a.ts', "const table = 'projects_service_migrations';", 0],
  ['src/projects/a.ts', "const LIST = '/api/projects';", 0],
])('the check of entities in %s: %s finds %i lines', (file, text, count) => {
  expect(entityLines(file, text)).toHaveLength(count);
});

it('the package loads no file that reads settings from the environment', async () => {
  const reached = new Set<string>();
  const visit = async (file: string): Promise<void> => {
    if (reached.has(file)) return;
    reached.add(file);
    const { imports } = parse(file, await readFile(file, 'utf8'));
    const targets = imports.map(({ specifier }) => targetOf(file, specifier));
    await Promise.all(targets.filter((target) => target.startsWith('src/')).map(visit));
  };
  await Promise.all(['index', 'client/index', 'testing/index'].map((f) => visit(`src/${f}.ts`)));
  expect(reached.size).toBeGreaterThan(100);
  expect([...reached].filter((file) => /^src\/(config\/|cli\/|app|main)/.test(file))).toEqual([]);
});

it('the check of cycles also refuses a cycle of types only', () => {
  const a = parse('src/http/a.ts', "import { b } from './b.js';");
  const b = parse('src/http/b.ts', "import type { C } from './c.js';");
  const c = parse('src/http/c.ts', "export { a } from './a.js';");
  expect(faultsOf([a, b, c])).toEqual([
    'src/http/a.ts → src/http/b.ts → src/http/c.ts → src/http/a.ts is a cycle',
  ]);
  expect(faultsOf([a, b])).toEqual([]);
});

function faultsOf(sources: Source[]): string[] {
  const faults = sources.flatMap((source) =>
    [
      ...(source.readsEnvironment && !isOneOf(ENVIRONMENT_READERS, source.file)
        ? ['reads process.env']
        : []),
      ...source.imports.flatMap((imported) => importFaults(source.file, imported)),
    ].map((fault) => `${source.file} ${fault}`),
  );
  return [...faults, ...cycles(sources)];
}

function importFaults(file: string, { specifier, typeOnly }: Import): string[] {
  const target = targetOf(file, specifier);
  const isForeign =
    (file.startsWith('src/db/') && isForeignToDatabase(file, target)) ||
    isLaterFolder(file, target) ||
    (OUTSIDE_DATABASE.test(file) && /^(drizzle-orm|postgres)(\/|$)/.test(target)) ||
    (file.startsWith('src/') && target.startsWith('test/')) ||
    target.startsWith('dist/');
  const faults = isForeign ? [`uses ${target}`] : [];
  if (specifier.startsWith('.') && !specifier.endsWith('.js')) {
    faults.push(`leaves .js off ${specifier}`);
  }
  if (typeOnly && file.endsWith('.controller.ts') && /dto/.test(specifier)) {
    faults.push(`has ${specifier} as a type, which switches its validation off`);
  }
  return faults;
}

/** True if a file uses a folder that comes after its own, or if the service uses the tools for tests of hosts. */
function isLaterFolder(file: string, target: string): boolean {
  if (target.startsWith('src/testing/') && file.startsWith('src/')) {
    return !file.startsWith('src/testing/');
  }
  return Object.entries(FOLDER_ORDER).some(([parent, order]) => {
    const [own, used] = [file, target].map((name) => folderIn(parent, name));
    if (!own || used === undefined || own === used) return false;
    if (used === '') return parent === 'src' && own !== 'cli';
    return rankOf(used, order) >= rankOf(own, order);
  });
}

/** Returns the folder of a file below `parent`; empty for a file of `parent` itself, undefined for other files. */
function folderIn(parent: string, file: string): string | undefined {
  if (!file.startsWith(`${parent}/`)) return undefined;
  const [first, ...rest] = file.slice(parent.length + 1).split('/');
  return rest.length > 0 ? first : '';
}

/** Returns the place of a folder in the order. One that is not listed is a new feature. */
function rankOf(folder: string, order: string[]): number {
  return order.indexOf(order.includes(folder) ? folder : 'projects');
}

function isForeignToDatabase(file: string, target: string): boolean {
  if (target.startsWith('@nestjs/')) return file !== 'src/db/database.module.ts';
  return target.startsWith('src/') && !target.startsWith('src/db/');
}

/** Types count too, because files in a cycle cannot be understood separately. */
function cycles(sources: Source[]): string[] {
  const targets = new Map(
    sources.map(({ file, imports }) => [
      file,
      imports.map(({ specifier }) => targetOf(file, specifier)),
    ]),
  );
  const found: string[] = [];
  const done = new Set<string>();
  const visit = (file: string, way: string[]): void => {
    const start = way.indexOf(file);
    if (start >= 0) found.push(`${[...way.slice(start), file].join(' → ')} is a cycle`);
    if (start >= 0 || done.has(file)) return;
    for (const target of targets.get(file) ?? []) visit(target, [...way, file]);
    done.add(file);
  };
  for (const file of targets.keys()) visit(file, []);
  return found;
}

/** Returns the file of a relative import, from the root; for a package its name. */
function targetOf(file: string, specifier: string): string {
  if (!specifier.startsWith('.')) return specifier;
  return path.posix.join(path.posix.dirname(file), specifier).replace(/\.js$/, '.ts');
}

function parse(file: string, text: string): Source {
  const source: Source = { file, imports: [], readsEnvironment: false };
  const visit = (node: ts.Node): void => {
    const specifier = specifierOf(node);
    if (specifier !== undefined) source.imports.push({ specifier, typeOnly: isTypeOnly(node) });
    if (
      /^(node:)?process$/.test(specifier ?? '') ||
      (ts.isPropertyAccessExpression(node) && node.getText() === 'process.env')
    ) {
      source.readsEnvironment = true;
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true));
  return source;
}

function specifierOf(node: ts.Node): string | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
    return node.moduleSpecifier && (node.moduleSpecifier as ts.StringLiteral).text;
  }
  if (ts.isImportTypeNode(node)) return node.argument.getText().slice(1, -1);
  const isCall = ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword;
  const argument = isCall ? node.arguments[0] : undefined;
  return argument && ts.isStringLiteral(argument) ? argument.text : undefined;
}

function isTypeOnly(node: ts.Node): boolean {
  if (ts.isImportTypeNode(node)) return true;
  if (!ts.isImportDeclaration(node)) return false;
  const clause = node.importClause;
  const bindings = clause?.namedBindings;
  const named = bindings && ts.isNamedImports(bindings) ? bindings.elements : [];
  return Boolean(clause?.isTypeOnly) || named.some(({ isTypeOnly }) => isTypeOnly);
}

function isOneOf(patterns: RegExp[], file: string): boolean {
  return patterns.some((pattern) => pattern.test(file));
}
