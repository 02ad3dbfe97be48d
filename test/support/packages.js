// Bundles the packages that the service uses, for the tests. Jest loads all modules again for each spec file, and one
// by one the modules of Nest, drizzle-orm and the others took more processor time than many of these files.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync } from 'node:fs';
import { readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../..');
const MADE_FROM = [
  'node_modules/.package-lock.json',
  'scripts/bundle.js',
  'test/support/packages.js',
];

/** Jest leaves a folder of this name out when it shows the place of an error. */
const BUNDLES = path.join(ROOT, '.build/node_modules');

/** Jest replaces their imports in all modules, also in those of other packages, so that none is loaded twice. */
const PACKAGES = [
  '@nestjs/(?:common|config|core|mapped-types|microservices|platform-express|swagger|testing)',
  '@opentelemetry/api|class-transformer|class-validator|drizzle-orm|express|helmet|jose|openapi-fetch',
  'prom-client|rate-limiter-flexible|rxjs|supertest|yaml',
].join('|');
const IMPORTED = new RegExp(
  `(?:from|import|import\\() ?['"]((?:${PACKAGES})(?:/[^'"]+)?)['"]`,
  'g',
);

/**
 * Returns the `moduleNameMapper` that replaces the packages, in every module that Jest loads, by a bundle in .build/.
 * It is made again after a change of the installed packages, or if a source imports another module of them.
 */
export async function bundledPackages() {
  try {
    const bundle = await upToDateBundle(importedModules());
    return { [`^((?:${PACKAGES})(?:/.+)?)$`]: path.join(bundle, '$1.mjs') };
  } catch (error) {
    console.warn(`The tests load single modules, slowly, because of this: ${error.message}`);
    return {};
  }
}

async function upToDateBundle(modules) {
  const hash = createHash('sha256');
  for (const file of MADE_FROM) hash.update(readFileSync(path.join(ROOT, file)));
  const key = hash.digest('hex').slice(0, 16);
  mkdirSync(BUNDLES, { recursive: true });
  const isComplete = (name) =>
    modules.every((module) => existsSync(path.join(BUNDLES, name, `${module}.mjs`)));
  const names = readdirSync(BUNDLES);
  const found = names.find((name) => name.startsWith(key) && isComplete(name));
  if (found) return path.join(BUNDLES, found);

  const unfinished = mkdtempSync(path.join(BUNDLES, 'unfinished-'));
  await bundle(modules, unfinished);
  const finished = unfinished.replace('unfinished', key);
  renameSync(unfinished, finished);
  names
    .filter((name) => !name.startsWith(key) && isOld(name))
    .forEach((name) => rmSync(path.join(BUNDLES, name), { recursive: true, force: true }));
  return finished;
}

/** A newer one may be in use, or not finished. */
function isOld(name) {
  const oneDayMs = 24 * 60 * 60 * 1000;
  return statSync(path.join(BUNDLES, name)).mtimeMs < Date.now() - oneDayMs;
}

/** Returns what the sources and tests import from the packages, such as `drizzle-orm/pg-core`. */
function importedModules() {
  const files = ['src', 'test'].flatMap((folder) =>
    readdirSync(path.join(ROOT, folder), { recursive: true })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => readFileSync(path.join(ROOT, folder, file), 'utf8')),
  );
  return [
    ...new Set(files.flatMap((text) => [...text.matchAll(IMPORTED)].map(([, name]) => name))),
  ];
}

async function bundle(modules, outdir) {
  const { build } = await import('esbuild');
  const { EXTERNAL, OPTIONS, PACKAGE_PLUGINS } = await import('../../scripts/bundle.js');
  const entry = 'entry';
  const entries = {
    name: entry,
    setup: ({ onResolve, onLoad }) => {
      onResolve({ filter: /^entry:/ }, ({ path }) => ({ path: path.slice(6), namespace: entry }));
      onLoad({ filter: /./, namespace: entry }, async ({ path }) => ({
        contents: await exportAll(path),
        resolveDir: ROOT,
      }));
    },
  };
  await build({
    ...OPTIONS,
    absWorkingDir: ROOT,
    entryPoints: modules.map((module) => ({ in: `${entry}:${module}`, out: module })),
    external: EXTERNAL,
    conditions: [], // those of Node only, without the `module` that esbuild adds
    outdir,
    outExtension: { '.js': '.mjs' },
    plugins: [entries, ...PACKAGE_PLUGINS],
    sourcemap: false,
    write: true,
  });
}

/** Names each export, because esbuild does not know those of a CommonJS module behind `export *`. */
async function exportAll(module) {
  const names = Object.keys(await import(module)).filter((name) => name !== 'module.exports');
  return `export { ${names.join(', ')} } from '${module}';`;
}
