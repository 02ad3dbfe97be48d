import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
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
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'generated-types-'));
});
afterAll(() => rm(folder, { recursive: true }));

it("the script generates types that compile, from the document in docs/ and from a host's document", async () => {
  const published = await readFile('docs/openapi.json', 'utf8');
  const ofHost = JSON.stringify(completeOpenApiDocument(await hostDocument()));
  const clients = [
    await generate('published', published, '/api'),
    await generate('host', ofHost, '/company/v3'),
  ];
  const options = '--ignoreConfig --noEmit --strict --module esnext --moduleResolution bundler';
  await run('typescript7/bin/tsc', ...options.split(' '), ...clients);
}, 120_000);

/** Generates the types of a document, and returns a client that uses them. */
async function generate(name: string, document: string, prefix: string): Promise<string> {
  const fileOf = (file: string) => path.join(folder, name, file);
  await mkdir(path.join(folder, name));
  await writeFile(fileOf('openapi.json'), document);
  await run('openapi-typescript/bin/cli.js', fileOf('openapi.json'), '-o', fileOf('api.d.ts'));
  await writeFile(fileOf('client.ts'), CLIENT.replaceAll('__PREFIX__', prefix));
  return fileOf('client.ts');
}

/** Rejects with the output of the program if it reports an error, such as the name of a client and the line. */
async function run(program: string, ...words: string[]): Promise<void> {
  await promisify(execFile)(process.execPath, [path.resolve('node_modules', program), ...words]);
}
