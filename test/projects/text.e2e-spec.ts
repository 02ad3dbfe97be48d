import request from 'supertest';
import { createProjectsFactory } from '../../src/db/factories/projects/projects.factory.js';
import { importRows } from '../../src/db/entity/row-import.js';
import { PROJECT } from '../../src/db/factories/projects/columns.js';
import { migrate } from '../../src/db/migrate.js';
import { atEnd, connect, connectPlainly, endEachTest } from '../support/connections.js';
import { startService, type TestService } from '../support/service.js';

let service: TestService;
beforeAll(async () => (service = await startService()));
afterAll(() => service.close());
beforeEach(async () => await connectPlainly(service.database.url)`truncate projects`);

endEachTest();

const NFC = 'Café';
const NFD = NFC.normalize('NFD');

const aProject = (values: object) => ({ name: 'n', description: '', technologies: [], ...values });
const post = (values: object) => request(service.url).post('/api/projects').send(aProject(values));
const find = async (query: object) => {
  const { body } = await request(service.url)
    .get('/api/projects')
    .query({ sort: 'name', ...query });
  return body.data.map(({ name }: { name: string }) => name);
};

describe('consecutive combining marks', () => {
  const marks = (count: number) => 'a' + '\u0301\u0323'.repeat(count / 2);

  it('are stored in form C up to 100 of them', async () => {
    const text = marks(100);
    const { body } = await post({ name: text, description: `${text}${text}` }).expect(201);
    const stored = text.normalize('NFC');
    expect(body.data).toMatchObject({ name: stored, description: `${stored}${stored}` });
  });

  it('are refused above 100, in every field and list', async () => {
    const text = marks(102);
    const message = 'must not contain more than 100 combining marks in a row';
    for (const [path, value] of Object.entries({
      name: text,
      description: `b ${text}`,
      technologies: ['b', marks(102).slice(0, 102)],
    })) {
      const { body } = await post({ [path]: value }).expect(400);
      // A technology of more than 100 marks also exceeds the maximum length.
      expect(body.errors).toEqual([{ path, message }]);
      const row = JSON.stringify(aProject({ [path]: value }));
      const file = await request(service.url)
        .post('/api/projects/import')
        .set('Content-Type', 'application/x-ndjson')
        .send(`${row}\n`)
        .expect(400);
      expect(file.body.errors).toEqual([expect.objectContaining({ message })]);
    }
  });

  it('are also refused by the database when a host does not check them', async () => {
    const { db } = connect({ url: service.database.url });
    const created = createProjectsFactory(db).createProject(aProject({ description: marks(102) }));
    await expect(created).rejects.toMatchObject({
      cause: { message: expect.stringContaining('text must be in Unicode normalization form C') },
    });
  });
});

describe('a text in two Unicode forms', () => {
  const stored = { name: NFC, description: NFC, technologies: [NFC] };

  it('is stored as the same text by every kind of write', async () => {
    const decomposed = { name: NFD, description: NFD, technologies: [NFD] };
    const { body } = await post(decomposed).expect(201);
    expect(body.data).toMatchObject(stored);
    const url = `/api/projects/${body.data.id}`;
    const api = request(service.url);
    await api.put(url).send(aProject({})).expect(200);
    expect((await api.put(url).send(decomposed).expect(200)).body.data).toMatchObject(stored);
    await api.put(url).send(aProject({})).expect(200);
    const patch = await api
      .patch(url)
      .set('Content-Type', 'application/merge-patch+json')
      .send(JSON.stringify(decomposed));
    expect(patch.body.data).toMatchObject(stored);
    const batch = { operations: [{ op: 'create', project: decomposed }] };
    await api.post('/api/projects/batch').send(batch).expect(200);
    await api
      .post('/api/projects/import')
      .set('Content-Type', 'application/x-ndjson')
      .send(`${JSON.stringify(decomposed)}\n`)
      .expect(200);
    const { db } = connect({ url: service.database.url });
    await createProjectsFactory(db).createProject(decomposed);
    await importRows(db, PROJECT, [decomposed]);

    const rows = await connectPlainly(service.database.url)`
      select name, description, technologies from projects`;
    expect(rows).toEqual(Array(5).fill(stored));
    const exported = await api.get('/api/projects/export').expect(200);
    expect(exported.text.normalize('NFC')).toBe(exported.text);
  });

  it('is found in both forms by searches and filters', async () => {
    await post(stored).expect(201);
    for (const query of [{ q: NFD }, { technology: NFD }, { anyTechnology: [NFD, 'x'] }])
      expect(await find(query)).toEqual([NFC]);
    const { body } = await request(service.url).get('/api/technologies').query({ q: NFD });
    expect(body.data).toEqual([{ name: NFC, projects: 1 }]);
    const { db } = connect({ url: service.database.url });
    const { projects } = await createProjectsFactory(db).listProjects({ technology: [NFD] });
    expect(projects).toHaveLength(1);
  });

  it('counts as a duplicate if one technology is given in both forms', async () => {
    const { body } = await post({ technologies: [NFC, NFD] }).expect(400);
    expect(body.errors).toEqual([{ path: 'technologies', message: 'must not contain duplicates' }]);
    await request(service.url)
      .get('/api/projects')
      .query({ technology: [NFC, NFD] })
      .expect(400);
  });

  it('cannot be stored by SQL in the other form, and neither can a technology that is a duplicate, too long, empty or not a text', async () => {
    const sql = connectPlainly(service.database.url);
    const insert = (values: object) => sql`insert into projects ${sql(aProject(values) as never)}`;
    for (const values of [{ name: NFD }, { description: NFD }, { technologies: sql.json([NFD]) }])
      await expect(insert(values)).rejects.toMatchObject({ code: '23514' });
    const refused = [
      '["a", "a"]',
      `["${'x'.repeat(101)}"]`,
      '[""]',
      '[1]',
      '[null]',
      '[["a"]]',
      '{}',
    ];
    for (const list of [...refused, '"a"', JSON.stringify(Array.from(Array(101).keys(), String))])
      await expect(
        sql`insert into projects (name, description, technologies) values ('n', '', ${list}::text::jsonb)`,
      ).rejects.toMatchObject({ code: expect.stringMatching(/^23/) });
    const { db } = connect({ url: service.database.url });
    const twice = createProjectsFactory(db).createProject(aProject({ technologies: ['a', 'a'] }));
    await expect(twice).rejects.toMatchObject({ code: 'invalid_value' });
    await expect(insert({ technologies: sql.json(['a', 'a']) })).rejects.toMatchObject({
      constraint_name: 'project_technologies_distinct',
    });
  });
});

/** Names, and searches with the names that each finds. */
const NAMES = [
  'École Überblick',
  'Łódź straße',
  'Тёплый Ёж',
  '项目管理系统',
  '프로젝트관리시스템',
  'カタカナ検索',
  'ระบบจัดการ',
];
const SEARCHES: [string, string[]][] = [
  ['uberblick', ['École Überblick']],
  ['ÜBERBLICK', ['École Überblick']],
  ['école', ['École Überblick']],
  ['ecole', ['École Überblick']],
  ['"ecole uberblick"', ['École Überblick']],
  ['lodz', ['Łódź straße']],
  ['STRASSE', ['Łódź straße']],
  ['ёж', ['Тёплый Ёж']],
  ['ТЕПЛЫЙ', ['Тёплый Ёж']],
  ['管理', ['项目管理系统']],
  ['관리', ['프로젝트관리시스템']],
  ['관리'.normalize('NFD'), ['프로젝트관리시스템']],
  ['시스템', ['프로젝트관리시스템']],
  ['템', ['프로젝트관리시스템']],
  ['项目管理系统', ['项目管理系统']],
  ['目管理系', ['项目管理系统']],
  ['管', ['项目管理系统']],
  ['统', ['项目管理系统']],
  ['理管', []],
  ['项目 系统', ['项目管理系统']],
  ['-管理 lodz', ['Łódź straße']],
  ['検索', ['カタカナ検索']],
  ['カナ', ['カタカナ検索']],
  ['ｶﾅ', ['カタカナ検索']],
  ['จัด', ['ระบบจัดการ']],
  ['ör', []],
];

it.each(SEARCHES)('a search for %s finds %j', async (q, names) => {
  for (const name of NAMES) await post({ name }).expect(201);
  expect(await find({ q })).toEqual(names);
});

it.each([
  ['Daten\u00adbank', 'datenbank'],
  ['Datenbank', 'daten\u00adbank'],
  ['Daten\u00adbank', '"daten\u00adbank system"'],
  ['\u202amarked\u202c', 'marked'],
  ['می\u200cروم', 'میروم'],
  ['中\u00ad文\u200b字', '中文'],
  ['one\u200btwo', 'two'],
  ['one\u200btwo', 'one\u200btwo'],
  ['trailing\u200b', 'trailing\u200b'],
  ['Kafka™', 'kafka'],
  ['Kafka™', '"kafka™ system"'],
  ['about~five', 'five'],
  ['~home', '~home'],
])('a text with %j is found by %j: such characters belong to no word', async (text, q) => {
  await post({ description: `A ${text} system` }).expect(201);
  expect(await find({ q })).toHaveLength(1);
});

it('a phrase continues from a script without spaces to a word, but not into the next field', async () => {
  await post({ name: '项目管理 server v2', description: '系统' }).expect(201);
  expect(await find({ q: '"管理 server"' })).toHaveLength(1);
  expect(await find({ q: '"项目 server"' })).toHaveLength(0);
  expect(await find({ q: '"v2 系统"' })).toHaveLength(0);
});

it('searches ignore case and accents also in a database with LC_CTYPE C', async () => {
  const admin = connectPlainly(process.env.TEST_DATABASE_URL!);
  const name = `ctype_${process.pid}`;
  await admin.unsafe(
    `create database ${name} template template0 encoding 'UTF8' locale_provider libc lc_collate 'C' lc_ctype 'C'`,
  );
  atEnd(async () => {
    await connectPlainly(process.env.TEST_DATABASE_URL!).unsafe(
      `drop database ${name} with (force)`,
    );
  });
  const url = new URL(process.env.TEST_DATABASE_URL!);
  url.pathname = name;
  await migrate({ url: url.href });
  const { db } = connect({ url: url.href });
  const projects = createProjectsFactory(db);
  for (const project of NAMES) await projects.createProject(aProject({ name: project }));
  for (const [q, names] of SEARCHES) {
    const page = await projects.listProjects({ q, sortBy: 'name', descending: false });
    expect([q, page.projects.map((project) => project.name)]).toEqual([q, names]);
  }
});

it('a project with the last version number can be changed and removed', async () => {
  const sql = connectPlainly(service.database.url);
  const { db } = connect({ url: service.database.url });
  const projects = createProjectsFactory(db);
  const [row] = await sql`
    insert into projects (name, description, technologies, version) values ('n', '', '[]', 2147483647) returning id`;
  expect((await projects.updateProject(row!.id, { name: 'm' })).version).toBe(1);
  const [last] = await sql`
    insert into projects (name, description, technologies, version) values ('n', '', '[]', 2147483647) returning id`;
  expect((await projects.deleteProject(last!.id)).version).toBe(2147483647);
  const { project } = await projects.putProject(last!.id, aProject({}));
  expect(project.version).toBe(2);
});
