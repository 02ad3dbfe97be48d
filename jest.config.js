import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { bundledPackages } from './test/support/packages.js';

/** Tests that import these files start processes, separate servers or a browser. */
const PROGRAMS =
  /\/(support\/(built|process|cluster|copy|packed-host|pgbouncer|needs)|chaos\/\w+)\.js'/;

const folder = path.join(import.meta.dirname, 'test');
const files = readdirSync(folder, { recursive: true }).filter(
  (file) => /\.(e2e-)?spec\.ts$/.test(file) && !file.startsWith('canaries'),
);
const isSlow = (file) => PROGRAMS.test(readFileSync(path.join(folder, file), 'utf8'));
const isApi = (file) => file.endsWith('.e2e-spec.ts');

const sources = { '^(\\.{1,2}/.*)\\.js$': '$1' };

/** @type {import('jest').Config} */
const common = {
  rootDir: import.meta.dirname,
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { ...(await bundledPackages()), ...sources },
  transform: { '^.+\\.ts$': '@swc/jest' }, // .swcrc configures it, as for the build
};

/** Jest takes an empty list for all files, so a project without files is null. */
function project(displayName, belongs) {
  const testMatch = files.filter(belongs).map((file) => `<rootDir>/test/${file}`);
  return testMatch.length > 0 ? [{ ...common, displayName, testMatch }] : [];
}

/** `--selectProjects unit` runs one project alone. The canaries on postgres.js run only when they are named. */
const projects = [
  ...project('unit', (file) => !isSlow(file) && !isApi(file)),
  ...project('api', (file) => !isSlow(file) && isApi(file)),
  ...project('slow', isSlow),
];
const canaries = {
  ...common,
  displayName: 'canaries',
  moduleNameMapper: sources, // they test the packages themselves
  testMatch: ['<rootDir>/test/canaries/*.spec.ts'],
};

/** @type {import('jest').Config} */
export default {
  projects: process.argv.includes('canaries') ? [...projects, canaries] : projects,
  globalSetup: '<rootDir>/test/support/global-setup.js',
  globalTeardown: '<rootDir>/test/support/global-teardown.js',
  reporters: ['default', ...(process.env.CI ? ['<rootDir>/test/support/slowest-files.js'] : [])],
  testSequencer: '<rootDir>/test/support/slow-first.js',
  maxWorkers: 4, // two cores have time for four, because many tests wait for a server or a timer
  // Node never frees the modules of a file's context (https://github.com/nodejs/node/issues/59118): about 18 MB a file,
  // which every garbage collection marks again. A worker with more than this is replaced between two files.
  workerIdleMemoryLimit: '350MB',
  workerGracefulExitTimeout: 30_000, // a busy machine needs more than the 500 ms by default to end or replace a worker
  testTimeout: 90_000, // a test that takes 5 s may take 30 s on a busy machine
};
