// node scripts/build.js [--declarations]: compiles src/ into dist/, or does nothing if dist/ is up to date.
//
// `npm start`, `npm test` and `npm run cli` call it each time, so it must be quick and must not disturb a
// service that runs from dist/:
// - swc compiles the JavaScript in about a second, and esbuild bundles the programs (bundle.js) in another.
//   `--declarations` (npm run build) also has tsc check the types and write the .d.ts files that host
//   applications compile against.
// - A new file is written under a temporary name and renamed over the old one. Obsolete files stay in dist/
//   until the build after next, for processes that may still load them.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { takeLock } from './lock.js';

process.chdir(path.resolve(import.meta.dirname, '..'));

const STAMP = '.build.json';
const TYPES = '.build/types';
const CONFIGURATION = [
  '.swcrc',
  'package.json',
  'tsconfig.json',
  'tsconfig.build.json',
  ...filesIn('scripts'),
];

const kinds = process.argv.includes('--declarations') ? ['code', 'declarations'] : ['code'];
try {
  if (!isCurrent()) {
    await takeLock('.build/lock');
    if (!isCurrent()) await build();
  }
} catch (error) {
  if (!error.syscall || !error.path) throw error;
  // The usual cause: root has built once, and now an ordinary user builds.
  console.error(
    `The build cannot write its files (${error.message}). If another user has built here, make the directories ` +
      'yours: sudo chown -R "$(id -u):$(id -g)" dist .build',
  );
  process.exit(1);
}

function isCurrent() {
  const stamp = readStamp();
  const inputs = hashOf([...CONFIGURATION, ...filesIn('src')]);
  const isThere = (file) => fs.existsSync(path.join('dist', file));
  return kinds.every((kind) => stamp[kind]?.inputs === inputs && stamp[kind].files.every(isThere));
}

async function build() {
  const stamp = readStamp();
  const inputs = hashOf([...CONFIGURATION, ...filesIn('src')]);
  const makers = { code: compile, declarations: declare };
  const made = [];
  for (const kind of kinds) made.push([kind, await makers[kind]()]);
  for (const [kind, files] of made) {
    for (const [file, content] of files) place(file, content);
    stamp[kind] = { inputs, files: files.map(([file]) => file), before: stamp[kind]?.files ?? [] };
  }
  place(STAMP, JSON.stringify(stamp));
  removeOld(stamp);
}

/** Creates JavaScript with source maps and the bundles, and copies other files of src/, such as the migrations. */
async function compile() {
  const [sources, others] = partition(filesIn('src'), (file) => file.endsWith('.ts'));
  // Imported here because they are not needed if dist/ is up to date.
  const [{ transformFile }, { bundle, isProgram }] = await Promise.all([
    import('@swc/core'),
    import('./bundle.js'),
  ]);
  try {
    const compiled = await Promise.all(
      sources.map(async (file) => [file, await transformFile(file, { sourceMaps: true })]),
    );
    return [
      ...others.map((file) => [path.relative('src', file), fs.readFileSync(file)]),
      ...compiled.filter(([file]) => !isProgram(file)).flatMap(moduleOf),
      ...(await bundle(new Map(compiled))),
    ];
  } catch (error) {
    console.error(error.message.split('\n\nCaused by')[0]); // the file and the line, without the stack of swc
    process.exit(1);
  }
}

function moduleOf([file, { code, map }]) {
  const output = path.relative('src', file).replace(/\.ts$/, '.js');
  const link = `//# sourceMappingURL=${path.basename(output)}.map\n`;
  return [
    [`${output}.map`, map],
    [output, code + link],
  ];
}

function partition(values, belongs) {
  return [values.filter(belongs), values.filter((value) => !belongs(value))];
}

/** Creates the type declarations. If there is a type error, the process exits with 1 and dist/ does not change. */
function declare() {
  const options = ['--emitDeclarationOnly', '--noEmitOnError', '--incremental', '--outDir', TYPES];
  const tsc = ['node_modules/typescript7/bin/tsc', '-p', 'tsconfig.build.json'];
  try {
    execFileSync(process.execPath, [...tsc, ...options], { stdio: 'inherit' });
  } catch {
    process.exit(1); // tsc has printed the faults
  }
  return filesIn('src')
    .filter((file) => file.endsWith('.ts'))
    .map((file) => path.relative('src', file).replace(/\.ts$/, '.d.ts'))
    .map((file) => [file, fs.readFileSync(path.join(TYPES, file))]);
}

function place(file, content) {
  const target = path.join('dist', file);
  const next = Buffer.from(content);
  if (readIfAny(target)?.equals(next)) return;
  fs.mkdirSync(path.dirname(target), { recursive: true });
  fs.writeFileSync(`${target}.${process.pid}`, next);
  fs.renameSync(`${target}.${process.pid}`, target);
}

/** Removes files that neither this build nor the previous one made, and incomplete files of killed builds. */
function removeOld(stamp) {
  const made = Object.values(stamp).flatMap(({ files, before }) => [...files, ...before]);
  const kept = new Set([STAMP, ...made].map((file) => path.join('dist', file)));
  for (const file of filesIn('dist')) if (!kept.has(file)) fs.rmSync(file);
}

function readStamp() {
  return JSON.parse(readIfAny(path.join('dist', STAMP)) ?? '{}');
}

function readIfAny(file) {
  return fs.existsSync(file) ? fs.readFileSync(file) : undefined;
}

function hashOf(files) {
  const hash = createHash('sha256');
  for (const file of files.sort()) hash.update(`${file}\0`).update(fs.readFileSync(file));
  return hash.digest('hex');
}

function filesIn(folder) {
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}
