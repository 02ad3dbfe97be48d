import { readFile } from 'node:fs/promises';
import { breakingChanges } from '../../scripts/openapi-changes.js';

/** Parts of a document, from which a test may remove anything. */
type Json = any; // eslint-disable-line @typescript-eslint/no-explicit-any

const text = await readFile('docs/openapi.json', 'utf8');

function changesOf(change: (document: Json) => void): string[] {
  const [before, after] = [JSON.parse(text), JSON.parse(text)];
  change(after);
  return breakingChanges(before, after);
}

const LIST = '/api/projects';
const ITEM = '/api/projects/{id}';
const parameter = (operation: Json, name: string): Json =>
  operation.parameters.find((one: Json) => one.name === name);

const CUTS: [string, (document: Json) => void, string][] = [
  [
    'a path',
    (d) => delete d.paths[ITEM].get && delete d.paths['/api/technologies'],
    'GET /api/technologies is gone',
  ],
  ['a method', (d) => delete d.paths[ITEM].delete, `DELETE ${ITEM} is gone`],
  [
    'an operationId',
    (d) => (d.paths[LIST].get.operationId = 'find'),
    `GET ${LIST} has another operationId`,
  ],
  [
    'a success',
    (d) => delete d.paths[ITEM].put.responses['201'],
    `PUT ${ITEM} no longer answers 201`,
  ],
  [
    'a header',
    (d) => delete d.paths[ITEM].get.responses['200'].headers.ETag,
    `GET ${ITEM} 200 has no header ETag`,
  ],
  [
    'a media type of an answer',
    (d) => delete d.paths[`${LIST}/changes`].get.responses['200'].content['text/event-stream'],
    `GET ${LIST}/changes 200 is no longer text/event-stream`,
  ],
  [
    'a field',
    (d) => delete d.components.schemas.Project.properties.version,
    `GET ${ITEM} 200.data.version is gone`,
  ],
  [
    'a field that is always there',
    (d) => (d.components.schemas.Project.required = ['id']),
    `GET ${ITEM} 200.data.name may be missing`,
  ],
  [
    'the type of a field',
    (d) => (d.components.schemas.Project.properties.version.type = 'string'),
    `GET ${ITEM} 200.data.version is string and no longer integer`,
  ],
  [
    'a field that is never null',
    (d) => (d.components.schemas.Project.properties.name.nullable = true),
    `GET ${ITEM} 200.data.name may be null`,
  ],
  [
    'a parameter',
    (d) => d.paths[LIST].get.parameters.shift(),
    `GET ${LIST} takes no query parameter limit`,
  ],
  [
    'an optional parameter',
    (d) => (parameter(d.paths[LIST].get, 'q').required = true),
    `GET ${LIST} requires query parameter q`,
  ],
  [
    'a maximum',
    (d) => (parameter(d.paths[LIST].get, 'limit').schema.maximum = 100),
    `GET ${LIST} query parameter limit has a narrower maximum`,
  ],
  [
    'a minimum',
    (d) => (parameter(d.paths[LIST].get, 'limit').schema.minimum = 2),
    `GET ${LIST} query parameter limit has a narrower minimum`,
  ],
  [
    'an enum',
    (d) => parameter(d.paths[LIST].get, 'sort').schema.enum.pop(),
    `GET ${LIST} query parameter sort takes no "name"`,
  ],
  [
    'free text',
    (d) => (parameter(d.paths[LIST].get, 'q').schema.enum = ['a']),
    `GET ${LIST} query parameter q takes no "any other value"`,
  ],
  [
    'a new required field',
    (d) => d.components.schemas.ProjectInput.required.push('owner'),
    `POST ${LIST} body.owner is required`,
  ],
  [
    'a field of a body',
    (d) => delete d.components.schemas.ProjectInput.properties.technologies,
    `POST ${LIST} body takes no technologies`,
  ],
  [
    'a maximal length',
    (d) => (d.components.schemas.ProjectInput.properties.name.maxLength = 100),
    `POST ${LIST} body.name has a narrower maxLength`,
  ],
  [
    'a pattern',
    (d) => (d.components.schemas.ProjectInput.properties.description.pattern = 'x'),
    `POST ${LIST} body.description has a narrower pattern`,
  ],
  [
    'the items of a list',
    (d) => (d.components.schemas.ProjectInput.properties.technologies.items.maxLength = 5),
    `POST ${LIST} body.technologies[] has a narrower maxLength`,
  ],
  [
    'a media type of a body',
    (d) => delete d.paths[ITEM].patch.requestBody.content['application/json'],
    `PATCH ${ITEM} reads no application/json`,
  ],
  [
    'an alternative of a body',
    (d) => d.components.schemas.ProjectBatch.properties.operations.items.oneOf.pop(),
    `POST ${LIST}/batch body.operations[] has fewer oneOf`,
  ],
];

it.each(CUTS)('the check reports the breaking change of %s', (_name, cut, expected) => {
  expect(changesOf(cut)).toContain(expected);
});

const ADDITIONS: [string, (document: Json) => void][] = [
  ['nothing', () => undefined],
  ['a path', (d) => (d.paths['/api/new'] = { get: { responses: {} } })],
  [
    'an optional parameter',
    (d) => d.paths[LIST].get.parameters.push({ name: 'x', in: 'query', schema: {} }),
  ],
  [
    'a field of an answer',
    (d) => (d.components.schemas.Project.properties.owner = { type: 'string' }),
  ],
  [
    'an optional field of a body',
    (d) => (d.components.schemas.ProjectInput.properties.owner = { type: 'string' }),
  ],
  ['a higher maximum', (d) => (parameter(d.paths[LIST].get, 'limit').schema.maximum = 500)],
  ['a value of an enum', (d) => parameter(d.paths[LIST].get, 'sort').schema.enum.push('size')],
  ['another failure', (d) => (d.paths[LIST].get.responses['418'] = { description: 'x' })],
  ['other words', (d) => (d.paths[LIST].get.summary = 'x')],
];

it.each(ADDITIONS)('the check accepts the addition of %s', (_name, add) => {
  expect(changesOf(add)).toEqual([]);
});
