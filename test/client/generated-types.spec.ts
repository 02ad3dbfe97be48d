import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { completeOpenApiDocument } from '../../src/index.js';
import { hostDocument } from '../support/host-document.js';

/** Code of a client that uses the types that openapi-typescript generates from the document. */
const CLIENT = `
import type { components, operations, paths } from './api';

type Project = components['schemas']['Project'];
type Page = paths['__PREFIX__/projects']['get']['responses'][200]['content']['application/json'];
type Query = NonNullable<operations['listProjects']['parameters']['query']>;
type NewProject =
  paths['__PREFIX__/projects']['post']['requestBody']['content']['application/json'];
type Problem = components['schemas']['Problem'];

export const query: Query = { limit: 10, technology: ['Rust'], sort: '-createdAt' };
export const created: NewProject = { name: 'A', description: '', technologies: [] };
export const namesOf = (page: Page): (string | undefined)[] => page.data.map(({ name }) => name);
export const cursorOf = (page: Page): string | null | undefined => page.meta.nextCursor;
export const versionOf = (project: Project): number => project.version;
export const isGone = ({ code }: Problem): boolean => code === 'cursor_expired';

// @ts-expect-error a query parameter that does not exist
export const unknownParameter: Query = { limits: 10 };
// @ts-expect-error a project without its name
export const nameless: NewProject = { description: '', technologies: [] };
// @ts-expect-error a code that no problem has
export const isElse = ({ code }: Problem): boolean => code === 'no_such_code';
`;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'generated-types-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('the script generates types that compile from the document in docs/', async () => {
  await copyFile('docs/openapi.json', path.join(folder, 'openapi.json'));
  await generateAndCompile('/api');
});

it("the script generates types that compile from a host's document", async () => {
  const document = completeOpenApiDocument(await hostDocument());
  await writeFile(path.join(folder, 'openapi.json'), JSON.stringify(document));
  await generateAndCompile('/company/v3');
});

/** Rejects with the output of openapi-typescript or of the compiler if one of them reports an error. */
async function generateAndCompile(prefix: string): Promise<void> {
  await writeFile(path.join(folder, 'client.ts'), CLIENT.replaceAll('__PREFIX__', prefix));
  await run('openapi-typescript/bin/cli.js', path.join(folder, 'openapi.json'), '-o', api());
  const options = '--ignoreConfig --noEmit --strict --module esnext --moduleResolution bundler';
  await run('typescript/bin/tsc', ...options.split(' '), path.join(folder, 'client.ts'));
}

const api = () => path.join(folder, 'api.d.ts');

async function run(program: string, ...words: string[]): Promise<void> {
  await promisify(execFile)(process.execPath, [path.resolve('node_modules', program), ...words]);
}
