import { type Copy, copyRepository, errorsOf, insertAfter } from '../support/copy.js';

let copy: Copy;
beforeAll(() => {
  copy = copyRepository();
});
afterAll(() => copy.remove());

const VALUE = 'createdSince?: Date;';
const ROW = "    createdSince: within('createdAt', '>='),";
const PARAMETER = `
  @ApiMoment('Only projects created since this moment.')
  createdSince?: Date;
`;

/** Checks the new filter in every interface; it runs in the copy. */
const DOORS = `
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
`;

it('a new filter is one value of the query, one row of the table and one parameter', () => {
  const query = 'src/db/factories/projects/project-list-query.ts';
  copy.write(query, insertAfter('  updatedTo?: Date;', VALUE));
  // The compiler names the other two places.
  const named = errorsOf(() => copy.run('npm run -s typecheck'));
  for (const file of ['project-filters.ts', 'project-list.ts'])
    expect(named).toMatch(new RegExp(`${file.replace('.', '\\.')}[^]*createdSince`));
  copy.write(
    'src/db/factories/projects/project-filters.ts',
    insertAfter("    updatedTo: within('updatedAt', '<'),", ROW),
  );
  copy.write(
    'src/projects/dto/list-projects.query.ts',
    insertAfter('  updatedTo?: Date;', PARAMETER),
  );
  copy.write('test/projects/created-since.e2e-spec.ts', DOORS);
  const output = copy.run(
    'npm run -s test:built -- --json test/projects/created-since.e2e-spec.ts',
  );
  expect(JSON.parse(output.slice(output.indexOf('{')))).toMatchObject({
    numPassedTests: 1,
    numFailedTests: 0,
  });
  expect(copy.changedSources()).toEqual([
    'db/factories/projects/project-filters.ts',
    'db/factories/projects/project-list-query.ts',
    'projects/dto/list-projects.query.ts',
  ]);
}, 240_000);
