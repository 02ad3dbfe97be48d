import { insertAfter } from './copy.js';

/** A change that docs/database/overview.md describes, with each of its edits. */
export interface Addition {
  /** The text by which the compiler's errors name it. */
  name: string;
  /** After the first edit the compiler names the places in `named`, where the others are missing. */
  edits: Edit[];
  named: string[];
  /** A test of the new column or filter in every interface. It runs in a copy of the repository. */
  spec: { file: string; text: string };
}

interface Edit {
  file: string;
  change: (text: string) => string;
}

const COLUMN_FIELD = `
  @ApiProperty({ maxLength: 200, example: 'https://www.postgresql.org' })
  @Trimmed()
  @TextLength(0, 200)
  homepage!: string;
`;

/** "Add a column to projects" */
export const COLUMN: Addition = {
  name: 'homepage',
  edits: [
    {
      file: 'src/db/schema.ts',
      change: insertAfter(
        "description: text('description').notNull(),",
        "homepage: varchar('homepage', { length: 200 }).notNull().default(''),",
      ),
    },
    {
      file: 'src/db/factories/projects/columns.ts',
      change: insertAfter('description: TEXT,', 'homepage: TEXT,'),
    },
    {
      file: 'src/projects/dto/project.dto.ts',
      change: insertAfter('  description!: string;', COLUMN_FIELD),
    },
  ],
  named: ['columns.ts', 'project.dto.ts'],
  spec: {
    file: 'test/projects/homepage.e2e-spec.ts',
    text: `
import request from 'supertest';
import { startService, type TestService } from '../support/service.js';

let service: TestService;
beforeAll(async () => void (service = await startService()));
afterAll(() => service.close());

const api = () => request(service.url);
const project = (homepage: string) => ({ name: 'N', description: '', technologies: [], homepage });

it('is read, written, listed, batched, imported, exported and recorded', async () => {
  const { body: created } = await api().post('/api/projects').send(project('a')).expect(201);
  const { id } = created.data;
  const at = '/api/projects/' + id;
  expect(created.data).toMatchObject(project('a'));
  expect((await api().put(at).send(project('b')).expect(200)).body.data.homepage).toBe('b');
  expect((await api().patch(at).send({ homepage: 'c' }).expect(200)).body.data.homepage).toBe('c');
  expect((await api().get(at)).body.data).toMatchObject(project('c'));
  expect((await api().get('/api/projects?fields=homepage')).body.data).toEqual([{ homepage: 'c' }]);
  expect((await api().get('/api/projects')).body.data[0]).toMatchObject(project('c'));
  const operations = [{ op: 'replace', id, project: project('d') }];
  const batch = await api().post('/api/projects/batch').send({ operations }).expect(200);
  expect(batch.body.data[0].project.homepage).toBe('d');
  // Clients that do not know the column continue to work, because it has a default.
  const leftOut = await api().put(at).send({ ...project(''), homepage: undefined }).expect(200);
  expect(leftOut.body.data).toMatchObject(project(''));
  const refused = await api().put(at).send({ ...project(''), homepage: null }).expect(400);
  expect(refused.body.errors).toMatchObject([{ path: 'homepage' }]);
  const puts = [{ op: 'replace', id, project: { ...project('d'), homepage: undefined } }];
  const put = await api().post('/api/projects/batch').send({ operations: puts }).expect(200);
  expect(put.body.data[0].project.homepage).toBe('');
  await api().post('/api/projects').send(project('x'.repeat(201))).expect(400);

  for (const [type, file] of [
    ['application/x-ndjson', JSON.stringify({ id, ...project('e') })],
    ['text/csv', 'id,name,description,technologies,homepage\\r\\n' + id + ',N,,[],f'],
  ]) {
    const { body } = await api().post('/api/projects/import').type(type).send(file).expect(200);
    expect(body.data).toMatchObject({ replaced: 1 });
    const same = await api().post('/api/projects/import').type(type).send(file).expect(200);
    expect(same.body.data).toMatchObject({ unchanged: 1 });
  }
  const long = JSON.stringify(project('x'.repeat(201)));
  await api().post('/api/projects/import').type('application/x-ndjson').send(long).expect(400);
  const exported = async (format: string) =>
    (await api().get('/api/projects/export?format=' + format).buffer(true).parse(text)).body;
  expect(JSON.parse(await exported('ndjson'))).toMatchObject(project('f'));
  expect((await exported('csv')).split('\\r\\n')[0]).toContain('homepage');

  const { body: history } = await api().get(at + '/history');
  expect(JSON.stringify(history.data)).toContain('homepage');
  const { body: feed } = await api().get('/api/projects/changes');
  expect(feed.data.at(-1).after.homepage).toBe('f');
});

function text(res, done) {
  let read = '';
  res.on('data', (part) => (read += part)).on('end', () => done(null, read));
}
`,
  },
};

const FILTER_PARAMETER = `
  @ApiMoment('Only projects created since this moment.')
  createdSince?: Date;
`;

/** "Add a filter to the list of projects" */
export const FILTER: Addition = {
  name: 'createdSince',
  edits: [
    {
      file: 'src/db/factories/projects/project-list-query.ts',
      change: insertAfter('  updatedTo?: Date;', 'createdSince?: Date;'),
    },
    {
      file: 'src/db/factories/projects/project-filters.ts',
      change: insertAfter(
        "    updatedTo: within('updatedAt', '<'),",
        "    createdSince: within('createdAt', '>='),",
      ),
    },
    {
      file: 'src/projects/dto/list-projects.query.ts',
      change: insertAfter('  updatedTo?: Date;', FILTER_PARAMETER),
    },
  ],
  named: ['project-filters.ts', 'project-list.ts'],
  spec: {
    file: 'test/projects/created-since.e2e-spec.ts',
    text: `
import request from 'supertest';
import { startService, type TestService } from '../support/service.js';

let service: TestService;
beforeAll(async () => void (service = await startService()));
afterAll(() => service.close());

const api = () => request(service.url);
const list = (query: string) => api().get('/api/projects?sort=createdAt&' + query);
const yearsOf = (body: { data: { name: string }[] }) => body.data.map(({ name }) => name);

it('is applied, alone and with others, validated, in the cursor and documented', async () => {
  const rows = ['2020', '2021', '2022'].map((name) => ({
    name, description: 'text', technologies: ['C'], createdAt: name + '-01-01T00:00:00.000Z',
  }));
  const file = rows.map((row) => JSON.stringify(row)).join('\\n');
  await api().post('/api/projects/import').type('application/x-ndjson').send(file).expect(200);

  expect(yearsOf((await list('')).body)).toEqual(['2020', '2021', '2022']);
  for (const others of ['', '&technology=C', '&q=text', '&technology=C&q=text', '&createdTo=2030-01-01'])
    expect(yearsOf((await list('createdSince=2021-01-01' + others)).body)).toEqual(['2021', '2022']);
  const counted = await list('createdSince=2022-01-01&count=exact').expect(200);
  expect(counted.body.meta.total).toBe(1);
  const exported = await api().get('/api/projects/export?createdSince=2022-01-01').buffer(true);
  expect(JSON.parse(exported.text ?? exported.body).name).toBe('2022');

  const first = await list('limit=1&createdSince=2021-01-01').expect(200);
  const next = '&after=' + first.body.meta.nextCursor;
  expect(yearsOf((await list('createdSince=2021-01-01' + next).expect(200)).body)).toEqual(['2022']);
  await list('createdSince=2020-01-01' + next).expect(400);
  await list(next.slice(1)).expect(400);
  const wrong = await list('createdSince=soon').expect(400);
  expect(wrong.body.errors).toMatchObject([{ path: 'createdSince' }]);

  const { body: document } = await api().get('/docs/openapi.json').expect(200);
  const names = document.paths['/api/projects'].get.parameters.map(({ name }) => name);
  expect(names).toContain('createdSince');
});
`,
  },
};
