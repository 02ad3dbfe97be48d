import { type Copy, copyRepository, errorsOf, insertAfter } from '../support/copy.js';

let copy: Copy;
beforeAll(() => {
  copy = copyRepository();
});
afterAll(() => copy.remove());

/** Follows docs/database/overview.md, "Add a column to projects", with each edit once. */
const SCHEMA = `homepage: varchar('homepage', { length: 200 }).notNull().default(''),`;
const COLUMN = 'homepage: TEXT,';
const FIELD = `
  @ApiProperty({ maxLength: 200, example: 'https://www.postgresql.org' })
  @Trimmed()
  @TextLength(0, 200)
  homepage!: string;
`;

/** Checks the new column in every interface; it runs in the copy. */
const DOORS = `
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
`;

it('a new column in the schema, the table of columns and the DTO appears in every interface', () => {
  copy.write(
    'src/db/schema.ts',
    insertAfter("description: text('description').notNull(),", SCHEMA),
  );
  // The compiler names the other two places.
  const named = errorsOf(() => copy.run('npm run -s typecheck'));
  for (const file of ['columns.ts', 'project.dto.ts']) {
    expect(named).toMatch(new RegExp(`${file.replace('.', '\\.')}[^]*homepage`));
  }
  copy.write('src/db/factories/projects/columns.ts', insertAfter('description: TEXT,', COLUMN));
  copy.write('src/projects/dto/project.dto.ts', insertAfter('  description!: string;', FIELD));
  copy.run('npm run -s db:generate -- --name homepage');
  copy.write('test/projects/homepage.e2e-spec.ts', DOORS);
  const output = copy.run('npm run -s test:built -- --json test/projects/homepage.e2e-spec.ts');
  expect(JSON.parse(output.slice(output.indexOf('{')))).toMatchObject({
    numPassedTests: 1,
    numFailedTests: 0,
  });
  // Three files with a line or a field each, and no SQL function.
  expect(copy.changedSources()).toEqual([
    'db/factories/projects/columns.ts',
    'db/schema.ts',
    'projects/dto/project.dto.ts',
  ]);
}, 240_000);
