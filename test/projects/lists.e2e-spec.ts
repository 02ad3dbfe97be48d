import { setTimeout as sleep } from 'node:timers/promises';
import request from 'supertest';
import { createDatabaseConnection, type DatabaseConnection } from '../../src/db/connection.js';
import { createProjectsFactory } from '../../src/db/factories/projects/projects.factory.js';
import { encodeCursor } from '../../src/http/answers/cursor.js';
import { aProject } from '../support/builders.js';
import { exchangeOne } from '../support/raw-http.js';
import { startService, type TestService } from '../support/service.js';

let service: TestService;
let connection: DatabaseConnection;
beforeAll(async () => {
  service = await startService();
  connection = createDatabaseConnection({ url: service.database.url });
});
afterEach(() => connection.db.execute('truncate projects'));
afterAll(async () => {
  await connection.close();
  await service.close();
});

const get = (path: string) => request(service.url).get(`/api/projects${path}`);
const names = (body: { data: { name: string }[] }) => body.data.map(({ name }) => name);
const create = async (...values: Parameters<typeof aProject>[0][]) => {
  const projects = createProjectsFactory(connection.db);
  const created = [];
  for (const value of values) {
    created.push(await projects.createProject(aProject(value)));
    await sleep(2); // a separate millisecond for each, so that the order of creation is known
  }
  return created;
};

/** Runs all of these repeatedly and concurrently until it is stopped, and resolves with the number of runs. */
function startWriting(writes: (() => Promise<unknown>)[]) {
  let isStopped = false;
  let count = 0;
  const writers = writes.map(async (write) => {
    for (; !isStopped; count++) await write();
  });
  return {
    stop: async () => {
      isStopped = true;
      await Promise.all(writers);
      return count;
    },
  };
}

/** Sends a GET with the unchanged address, which the URL class of a client would rewrite. */
const asWritten = (path: string) =>
  exchangeOne(service.url, `GET ${path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n`);

/** Reads every page of a list by its cursors and compares them with the Link headers. */
async function walk(query: string, limit: number) {
  const found: { id: string }[] = [];
  for (let path: string | undefined = `/api/projects?limit=${limit}${query}`; path;) {
    const { body, headers }: request.Response = await request(service.url).get(path).expect(200);
    found.push(...body.data);
    const { nextCursor, hasMore } = body.meta;
    expect(hasMore).toBe(nextCursor !== null);
    path = /^<([^>]+)>; rel="next"$/.exec(headers.link ?? '')?.[1];
    expect(path !== undefined).toBe(hasMore);
    if (path) expect(new URL(path, 'http://x').searchParams.get('after')).toBe(nextCursor);
  }
  return found;
}

describe('the pages of a list', () => {
  it('contain every project once in each order, equal ones sorted by id', async () => {
    await create(...Array.from({ length: 23 }, (_, i) => ({ name: `n${i % 5}` })));
    await connection.db.execute(`update projects set description = 'x' where name = 'n1'`);
    for (const sort of ['createdAt', 'updatedAt', 'name'] as const) {
      const expected = (await createProjectsFactory(connection.db).getAllProjects(100)).sort(
        (a, b) => (a[sort] < b[sort] ? -1 : a[sort] > b[sort] ? 1 : a.id < b.id ? -1 : 1),
      );
      const ids = expected.map(({ id }) => id);
      expect((await walk(`&sort=${sort}`, 4)).map(({ id }) => id)).toEqual(ids);
      expect((await walk(`&sort=-${sort}`, 7)).map(({ id }) => id)).toEqual(ids.reverse());
    }
  });

  it.each([
    ...['', '&technology=Kept', '&sort=createdAt', '&q=kept', '&sort=name', '&sort=-name'],
    ...['&sort=-updatedAt', '&sort=updatedAt', '&anyTechnology=Kept&anyTechnology=Gone'],
  ])(
    'contain every unchanged project exactly once while others write: limit=5%s',
    async (query) => {
      const standing = await create(
        ...Array.from({ length: 40 }, (_, i) => ({ name: `n${i % 9}`, technologies: ['Kept'] })),
      );
      const projects = createProjectsFactory(connection.db);
      // A new project moves through the list and out of it repeatedly.
      const passing = async () => {
        const { id } = await projects.createProject(aProject({ technologies: ['Kept', 'Gone'] }));
        const name = `n${Math.floor(Math.random() * 9)}`;
        await projects.updateProject(id, { name, technologies: ['Kept'] });
        await projects.deleteProject(id);
      };
      // An unchanged project changes only fields that the list is not sorted by.
      const changing = async () => {
        const { id } = standing[Math.floor(Math.random() * 40)]!;
        await projects.updateProject(id, { description: `changed ${Math.random()}` });
      };
      const written = query.includes('updatedAt') ? [passing, passing] : [passing, changing];
      const others = startWriting(written);
      const found = await walk(query, 5);
      // They wrote during the test and not only at its end.
      expect(await others.stop()).toBeGreaterThan(written.length);
      const stood = found.map(({ id }) => id).filter((id) => standing.some((one) => one.id === id));
      expect(stood.sort()).toEqual(standing.map(({ id }) => id).sort());
    },
  );

  it('refuse a cursor of a list with another filter or sort', async () => {
    await create({}, {}, {});
    const lists = [
      ...['', 'sort=createdAt', 'sort=updatedAt', 'sort=-updatedAt', 'sort=name', 'sort=-name'],
      ...[
        'technology=TypeScript',
        'anyTechnology=TypeScript',
        'anyTechnology=TypeScript&anyTechnology=X',
      ],
      ...['createdFrom', 'createdTo', 'updatedFrom', 'updatedTo'].flatMap((name) => {
        const day = name.endsWith('From') ? '2001-02-03' : '2099-02-03';
        return [`${name}=${day}`, `${name}=${day}T00:00:01Z`];
      }),
      ...['q=typescript', 'q=postgresql'],
    ];
    const cursors = [];
    for (const list of lists) {
      const { body } = await get(`?limit=1&${list}`).expect(200);
      expect([list, body.meta.hasMore]).toEqual([list, true]);
      cursors.push(body.meta.nextCursor as string);
    }
    for (const [i, list] of lists.entries()) {
      for (const [j, cursor] of cursors.entries()) {
        const { status, body } = await get(`?${list}&after=${cursor}`);
        const refused = status === 400 && body.code === 'invalid_cursor';
        expect([list, lists[j], refused || status]).toEqual([list, lists[j], i === j ? 200 : true]);
      }
    }
  });

  it('follow a cursor whatever the names and the words contain', async () => {
    const longest = '\u0001'.repeat(253);
    await create(
      ...['a', 'b', 'c'].map((end) => ({ name: `x${longest}${end}`, description: 'a>b #1 100%' })),
    );
    for (const sort of ['name', '-name', 'createdAt', '-updatedAt'])
      expect(await walk(`&sort=${sort}`, 1)).toHaveLength(3);
  });

  it('link to the next page in whatever way the address was written', async () => {
    await create(...Array.from({ length: 5 }, () => ({ description: 'a>b #1' })));
    const all = names((await get('?fields=id').expect(200)).body).length;
    expect(all).toBe(5);
    const first = (await get('?limit=2').expect(200)).body.meta.nextCursor as string;
    const expected = (await get(`?limit=2&after=${first}`).expect(200)).body.data;
    for (const address of [
      '?limit=2&q=a>b',
      '?limit=2&q=a%3Eb%20%231',
      '?limit=2&q=a+b',
      '?limit=2#fragment',
      '?l%69mit=2&q="a+b"',
      '?limit=2&technology=TypeScript',
      '?',
    ]) {
      const path = `/api/projects${address === '?' ? '?limit=2' : address}`;
      const page = await asWritten(path);
      const link = /^<([^<>"\s]+)>; rel="next"$/.exec(page.headers.link ?? '')?.[1];
      expect([address, typeof link]).toEqual([address, 'string']);
      const next = JSON.parse((await asWritten(link!)).body);
      expect([address, next.data]).toEqual([address, expected]);
    }
    const second = await asWritten(`/api/projects?limit=2&%61fter=${first}`);
    const link = /^<([^>]+)>/.exec(second.headers.link!)![1]!;
    const last = JSON.parse((await asWritten(link)).body);
    expect(last).toMatchObject({ success: true, meta: { hasMore: false } });
    expect(last.data).toHaveLength(1);
  });

  it('refuse a forged or shortened cursor, or one of another list, by its code', async () => {
    await create({}, {}, {});
    const { body } = await get('?limit=1&technology=TypeScript').expect(200);
    const cursor: string = body.meta.nextCursor;
    const [position, digest] = cursor.split('.') as [string, string];
    const other = Buffer.from(
      JSON.stringify(['2020-01-01T00:00:00.000Z', body.data[0].id]),
    ).toString('base64url');
    const refused = [
      `technology=TypeScript&after=${other}.${digest}`,
      `technology=TypeScript&after=${cursor.slice(0, -1)}`,
      `technology=TypeScript&after=${position}`,
      `technology=TypeScript&after=${cursor}.x`,
      `technology=TypeScript&after=x`,
      `after=${cursor}`,
      `technology=PostgreSQL&after=${cursor}`,
      `technology=TypeScript&sort=name&after=${cursor}`,
    ];
    for (const query of refused) {
      const answer = await get(`?${query}`).expect(400);
      expect(answer.body).toMatchObject({ code: 'invalid_cursor', errors: [{ path: 'after' }] });
    }
    const id = body.data[0].id as string;
    const moment = '2020-01-01T00:00:00.000Z';
    const otherShapes: unknown[] = [
      ...[[], ['x'], ['x', 'y'], [moment], [moment, 'x'], ['x', id], [moment, id, 1], [1, id]],
      ...[['2020-02-31T00:00:00.000Z', id], ['0000-01-01T00:00:00.000Z', id], [moment, 7], 'x'],
    ];
    for (const keys of otherShapes) {
      const forged = encodeCursor(
        keys as string[],
        JSON.stringify(['-createdAt', null, null, null, [null, null, null, null]]),
      );
      const answer = await get(`?after=${forged}`).expect(400);
      expect([keys, answer.body.code]).toEqual([keys, 'invalid_cursor']);
    }
    for (const after of ['', 'x'.repeat(9000), `${cursor}${'x'.repeat(2500)}`]) {
      const answer = await get(`?after=${after}`).expect(400);
      expect(answer.body).toMatchObject({ code: 'invalid_cursor', errors: [{ path: 'after' }] });
    }
    // The number of fields does not change the list.
    await get(`?limit=2&fields=name&technology=TypeScript&after=${cursor}`).expect(200);
  });
});

describe('a filter', () => {
  it('by technology finds all named, one of the named, and both at once', async () => {
    await create(
      { name: 'a', technologies: ['X', 'Y'] },
      { name: 'b', technologies: ['X'] },
      { name: 'c', technologies: ['Y', 'Z'] },
      { name: 'd', technologies: ['x', "it's \\ odd"] },
    );
    const cases: [string, string[]][] = [
      ['technology=X', ['b', 'a']],
      ['technology=X&technology=Y', ['a']],
      ['technology=x', ['d']],
      [`technology=${encodeURIComponent("it's \\ odd")}`, ['d']],
      [`technology=${encodeURIComponent("it's \\ odd")}&technology=x`, ['d']],
      ['technology=Nobody', []],
      ['technology=X&technology=Nobody', []],
      ['anyTechnology=X&anyTechnology=Z', ['c', 'b', 'a']],
      ['anyTechnology=X&anyTechnology=Z&technology=Y', ['c', 'a']],
      ['anyTechnology=Z&technology=Y', ['c']],
      ['anyTechnology=Nobody&technology=Y', []],
    ];
    for (const [query, expected] of cases) {
      expect([query, names((await get(`?${query}`).expect(200)).body)]).toEqual([query, expected]);
      // The search index, which other sorts use, gives the same result.
      const byName = await get(`?${query}&sort=name`).expect(200);
      expect([query, names(byName.body)]).toEqual([query, [...expected].sort()]);
      const exact = await get(`?${query}&count=exact`).expect(200);
      expect([query, exact.body.meta.total, exact.body.meta.totalIsEstimate]).toEqual([
        query,
        expected.length,
        false,
      ]);
    }
  });

  it('by words finds phrases and -not in name, technologies and description, and corrects a typo in a name', async () => {
    await create(
      { name: 'PostgreSQL server', description: 'An elephant of a database', technologies: ['C'] },
      { name: 'Redis', description: 'A fast database in memory', technologies: ['Tcl'] },
      { name: 'Elephant walk', description: 'Unrelated', technologies: ['PostgreSQL'] },
      { name: 'Radis', description: 'A vegetable', technologies: [] },
    );
    const cases: [string, string[]][] = [
      ['database', ['Redis', 'PostgreSQL server']],
      ['DATABASE elephant', ['PostgreSQL server']],
      ['"fast database"', ['Redis']],
      ['"database fast"', []],
      ['database -elephant', ['Redis']],
      ['elephant -unrelated', ['PostgreSQL server']],
      ['postgresql', ['Elephant walk', 'PostgreSQL server']],
      ['postgersql', ['Elephant walk', 'PostgreSQL server']],
      ['elefant', ['Elephant walk', 'PostgreSQL server']],
      ['redis or walk', ['Elephant walk', 'Redis']],
      ['radis', ['Radis']],
      ['radys', ['Radis']],
      ['zzzz', []],
    ];
    const requireAll = async (when: string) => {
      for (const [q, expected] of cases) {
        const { body } = await get(`?q=${encodeURIComponent(q)}`).expect(200);
        expect([when, q, names(body)]).toEqual([when, q, expected]);
      }
    };
    await requireAll('noted');
    await connection.db.execute('select fold_technology_changes()');
    await requireAll('folded');
    expect(names((await get('?q=elephant&technology=PostgreSQL').expect(200)).body)).toEqual([
      'Elephant walk',
    ]);
    expect(names((await get('?q=database&anyTechnology=Tcl').expect(200)).body)).toEqual(['Redis']);
  });

  it('by words finds the parts of names such as Node.js within one field and one technology', async () => {
    await create(
      { name: 'Node.js', description: 'See https://nodejs.org/en/about', technologies: ['C++'] },
      { name: 'Vue', description: 'List<String>, 18.4-beta', technologies: ['Node.js', 'CI/CD'] },
      { name: 'PostgreSQL server', description: 'Relational', technologies: ['C', 'Rust'] },
      { name: 'Odd', description: '', technologies: ['t\ttab', '"q", "r"', '.NET', 'F#', 'C#'] },
    );
    const cases: [string, string[]][] = [
      ['node', ['Vue', 'Node.js']],
      ['node.js', ['Vue', 'Node.js']],
      ['js.node', []],
      ['"node js"', ['Vue', 'Node.js']],
      ['nodejs.org/en', ['Node.js']],
      ['about -vue', ['Node.js']],
      ['cd', ['Vue']],
      ['ci-cd', ['Vue']],
      ['string', ['Vue']],
      ['18 beta', ['Vue']],
      ['"18.4"', ['Vue']],
      ['c++', ['Odd', 'PostgreSQL server', 'Node.js']],
      ['"server c"', []],
      ['"c rust"', []],
      ['"rust relational"', []],
      ['"postgresql server"', ['PostgreSQL server']],
      ['tab', ['Odd']],
      ['"q r"', ['Odd']],
      ['- vue', ['Vue']],
      ['rust or "-string"', ['PostgreSQL server', 'Vue']],
      ['rust or', []],
      [`node ${'-'.repeat(80)}vue`, ['Node.js']],
      ['postgersql, ', ['PostgreSQL server']],
    ];
    for (const [q, expected] of cases) {
      const { body } = await get(`?q=${encodeURIComponent(q)}`).expect(200);
      expect([q, names(body)]).toEqual([q, expected]);
    }
    for (const technology of ['C', 'C++', 'C#', 'F#', '.NET', 'Node.js', 't\ttab', '"q", "r"']) {
      const query = `technology=${encodeURIComponent(technology)}&sort=name`;
      const { body } = await get(`?${query}`).expect(200);
      const using = body.data.map(({ technologies }: { technologies: string[] }) => technologies);
      expect([technology, using]).toEqual([technology, [expect.arrayContaining([technology])]]);
    }
  });

  it('by a word that a name has contained finds no similar words, also after the name was removed', async () => {
    const projects = createProjectsFactory(connection.db);
    const [, mistyped] = await create({ name: 'PostgreSQL server' }, { name: 'Postgersql' });
    const found = async () => names((await get('?q=postgersql').expect(200)).body);
    expect(await found()).toEqual(['Postgersql']);
    await projects.deleteProject(mistyped!.id);
    expect(await found()).toEqual([]);
  });

  it('by dates finds from a moment on and before another, combined with any other filter', async () => {
    const [a, b, c] = await create({ name: 'a' }, { name: 'b' }, { name: 'c' });
    const moments = ['2024-02-29T12:00:00Z', '2025-01-01T00:00:00Z', '2026-01-01T00:00:00.001Z'];
    await connection.db.execute('alter table projects disable trigger projects_touch_row');
    for (const [i, project] of [a!, b!, c!].entries()) {
      await connection.db.execute(
        `update projects set created_at = '${moments[i]}', updated_at = '${moments[i]}', id = gen_random_uuid() where id = '${project.id}'`,
      );
    }
    const cases: [string, string[]][] = [
      ['createdFrom=2025-01-01', ['c', 'b']],
      ['createdTo=2025-01-01', ['a']],
      ['createdFrom=2024-02-29T13:00:00%2B01:00&createdTo=2026-01-01T00:00:00.001Z', ['b', 'a']],
      ['updatedFrom=2026-01-01', ['c']],
      ['updatedTo=2026-01-01', ['b', 'a']],
      ['createdTo=2026-01-01T00:00:00.0010001Z', ['c', 'b', 'a']],
      ['createdTo=2026-01-01T00:00:00.001000Z', ['b', 'a']],
      ['createdFrom=2026-01-01T00:00:00.0009999Z', ['c']],
      ['createdFrom=2026-01-01T00:00:00.0010001Z', []],
      ['createdFrom=0001-01-01&createdTo=9999-12-31T23:59:59.9999999Z', ['c', 'b', 'a']],
      ['technology=TypeScript&createdFrom=2025-01-01', ['c', 'b']],
      ['technology=TypeScript&updatedTo=2025-01-01', ['a']],
    ];
    for (const [query, expected] of cases) {
      expect([query, names((await get(`?${query}`).expect(200)).body)]).toEqual([query, expected]);
    }
    await connection.db.execute('alter table projects enable trigger projects_touch_row');
  });
});

describe('the parameter', () => {
  it('fields returns only these fields of each project, and cursors still work', async () => {
    await create({ name: 'a' }, { name: 'b' }, { name: 'c' });
    const { body } = await get('?fields=name,version&sort=name').expect(200);
    expect(body.data).toEqual(['a', 'b', 'c'].map((name) => ({ name, version: 1 })));
    expect(await walk('&fields=name', 1)).toEqual(['c', 'b', 'a'].map((name) => ({ name })));
  });

  it('id returns these projects in this order, and omits missing ones', async () => {
    const [a, b] = await create({ name: 'a' }, { name: 'b' });
    const nobody = '00000000-0000-4000-8000-000000000000';
    const answer = await get(
      `?id=${b!.id.toUpperCase()}&id=${nobody}&id=${a!.id}&fields=name`,
    ).expect(200);
    expect(answer.body).toEqual({
      success: true,
      data: [{ name: 'b' }, { name: 'a' }],
      meta: { limit: 3, nextCursor: null, hasMore: false },
    });
    const refused = await get(`?id=${a!.id}&limit=1`).expect(400);
    expect(refused.body.errors).toEqual([{ path: 'limit', message: 'cannot be combined with id' }]);
  });

  it('count estimates the same number when several workers would share the counting', async () => {
    await connection.db.execute(`
      insert into projects (name, description, technologies)
      select 'n' || i, 'half' || i % 2, '["X"]' from generate_series(1, 20000) as i`);
    await connection.db.execute('analyze projects');
    const database = new URL(service.database.url).pathname.slice(1);
    await connection.db.execute(`
      alter database ${database} set parallel_setup_cost = 0;
      alter database ${database} set parallel_tuple_cost = 0;
      alter database ${database} set min_parallel_table_scan_size = 0`);
    const { db, close } = createDatabaseConnection({ url: service.database.url });
    const [{ 'QUERY PLAN': plan }] = (await db.execute<{ 'QUERY PLAN': unknown }>(
      'explain (format json) select count(*) from projects',
    )) as unknown as [{ 'QUERY PLAN': unknown }];
    expect(JSON.stringify(plan)).toContain('Gather');
    const { listProjects } = createProjectsFactory(db);
    const { total } = await listProjects({ limit: 1, count: 'estimated' });
    const half = await listProjects({ limit: 1, count: 'estimated', q: 'half1' });
    await close();
    await connection.db.execute(`alter database ${database} reset all`);
    expect(total).toBeGreaterThan(18_000);
    expect(total).toBeLessThan(22_000);
    expect(half.total).toBeGreaterThan(9000);
    expect(half.total).toBeLessThan(11_000);
  });

  it('count returns no total by default, and otherwise an exact or an estimated one', async () => {
    await create(...Array.from({ length: 30 }, () => ({})));
    await connection.db.execute('analyze projects');
    expect((await get('?limit=1').expect(200)).body.meta).not.toHaveProperty('total');
    expect((await get('?limit=1&count=exact').expect(200)).body.meta).toMatchObject({
      total: 30,
      totalIsEstimate: false,
    });
    expect((await get('?limit=1&count=estimated').expect(200)).body.meta).toMatchObject({
      total: 30,
      totalIsEstimate: true,
    });
  });
});

describe('a list refuses by the name of the parameter', () => {
  const cases: [query: string, path: string][] = [
    ['sort=nope', 'sort'],
    ['sort=name&sort=-name', 'sort'],
    ['limit=1e2', 'limit'],
    ['limit=0', 'limit'],
    ['limit=201', 'limit'],
    [`q=${'a'.repeat(10_000)}`, 'q'],
    ['q=%20-%20%22%22', 'q'],
    ['q=-%20-%20%26%20%7C', 'q'],
    ['q=-only', 'q'],
    ['q=-%22only%20these%22', 'q'],
    ['q=this%20or%20-that', 'q'],
    ['q=a&q=b', 'q'],
    ['q=', 'q'],
    ['createdFrom=2024-02-30', 'createdFrom'],
    ['createdTo=2023-02-29T00:00:00Z', 'createdTo'],
    ['updatedFrom=2024-W01', 'updatedFrom'],
    ['updatedTo=0000-01-01', 'updatedTo'],
    ['updatedTo=2024-01-01T24:00:00Z', 'updatedTo'],
    ['updatedTo=2024-01-01T10:00:00', 'updatedTo'],
    ['createdFrom=0001-01-01T00:00:00%2B01:00', 'createdFrom'],
    ['createdTo=9999-12-31T23:30:00-01:00', 'createdTo'],
    ['createdTo=2024-01-01&createdTo=2024-01-01', 'createdTo'],
    ['after=a&after=b', 'after'],
    ['fields=name&fields=id', 'fields'],
    ['fields=name,search', 'fields'],
    ['fields=name,name', 'fields'],
    ['fields=', 'fields'],
    ['count=maybe', 'count'],
    ['technology=', 'technology'],
    ['technology=a&technology=a', 'technology'],
    [`technology=${'a'.repeat(101)}`, 'technology'],
    [Array.from({ length: 11 }, (_, i) => `anyTechnology=${i}`).join('&'), 'anyTechnology'],
    ['id=nope', 'id'],
    [['a', 'A'].map((a) => `id=0000000${a}-0000-4000-8000-000000000000`).join('&'), 'id'],
    ['nope=1', 'nope'],
  ];
  it.each(cases.map(([query, path]) => ({ title: query.slice(0, 60), query, path })))(
    '$title',
    async ({ query, path }) => {
      const { body } = await get(`?${query}`).expect(400);
      expect(body.code).toBe('validation_failed');
      expect(body.errors).toEqual([{ path, message: expect.any(String) }]);
    },
  );
});

describe('the technologies', () => {
  const technologies = async (query = '') =>
    (await request(service.url).get(`/api/technologies${query}`).expect(200)).body.data;

  it('are those in use, the most used first, with the number of their projects', async () => {
    const [a] = await create(
      { technologies: ['X', 'y'] },
      { technologies: ['X', 'Xenon'] },
      { technologies: ['Z'] },
    );
    const expected = [
      { name: 'X', projects: 2 },
      { name: 'Xenon', projects: 1 },
      { name: 'y', projects: 1 },
      { name: 'Z', projects: 1 },
    ];
    expect(await technologies()).toEqual(expected);
    await connection.db.execute('select fold_technology_changes()');
    expect(await technologies()).toEqual(expected);
    expect(await technologies('?q=x&limit=1')).toEqual([{ name: 'X', projects: 2 }]);
    expect(await technologies('?q=x')).toEqual(expected.slice(0, 2));
    expect(await technologies('?q=%25')).toEqual([]);

    const projects = createProjectsFactory(connection.db);
    await projects.updateProject(a!.id, { technologies: ['Z', 'y'] });
    await projects.deleteProject(a!.id);
    expect(await technologies()).toEqual([
      { name: 'X', projects: 1 },
      { name: 'Xenon', projects: 1 },
      { name: 'Z', projects: 1 },
    ]);
  });

  it.each([
    ...['limit=0', 'limit=201', 'limit=x', 'limit=1&limit=2', 'q=', 'q=a&q=b', 'after=x'],
    `q=${'x'.repeat(101)}`,
  ])('refuse %s by name', async (query) => {
    const { body } = await request(service.url).get(`/api/technologies?${query}`).expect(400);
    const [path] = query.split('=');
    expect(body.errors).toEqual([{ path, message: expect.any(String) }]);
  });

  it('are 50 by default and at most 200, with a beginning of up to 100 characters', async () => {
    await create(
      ...[0, 1, 2].map((n) => ({
        technologies: Array.from({ length: 70 }, (_, i) => `${n} ${i}`),
      })),
      { technologies: ['x'.repeat(100)] },
    );
    expect(await technologies()).toHaveLength(50);
    expect(await technologies('?limit=200')).toHaveLength(200);
    expect(await technologies('?limit=1')).toHaveLength(1);
    expect(await technologies(`?q=${'x'.repeat(100)}`)).toHaveLength(1);
  });

  it('need no more rows for repeated changes of projects, and are removed when unused', async () => {
    await connection.db.execute(`
      insert into projects (name, description, technologies)
      select 'n' || i, '', '["X", "Gone"]' from generate_series(1, 1000) as i`);
    for (let i = 0; i < 12; i++) {
      await connection.db.execute(`update projects set technologies = '["X", "Y${i % 3}"]'`);
    }
    const [{ noted }] = (await connection.db.execute<{ noted: number }>(
      'select count(*)::int as noted from technology_changes',
    )) as unknown as [{ noted: number }];
    // The commits have folded all of the 12,001 notes except the last few.
    expect(noted).toBeLessThan(1000);
    expect(await technologies()).toEqual([
      { name: 'X', projects: 1000 },
      { name: 'Y2', projects: 1000 },
    ]);
    await connection.db.execute('select fold_technology_changes()');
    const counts = await connection.db.execute('select * from technology_counts order by 1');
    expect([...counts]).toEqual([
      { technology: 'X', projects: '1000' },
      { technology: 'Y2', projects: '1000' },
    ]);
  });

  it('have correct counts after any concurrent writes', async () => {
    const projects = createProjectsFactory(connection.db);
    const words = ['a', 'b', 'c', 'd'];
    const some = () => words.filter(() => Math.random() < 0.5);
    const created = await Promise.all(
      Array.from({ length: 40 }, () => projects.createProject(aProject({ technologies: some() }))),
    );
    await Promise.all(
      created.map(async ({ id }, i) => {
        if (i % 3 === 0) await projects.deleteProject(id);
        else if (i % 3 === 1) await projects.updateProject(id, { technologies: some() });
        else await connection.db.execute('select fold_technology_changes()');
      }),
    );
    await connection.db.execute(
      `insert into projects (name, description, technologies) select 'bulk', '', '["a","d"]' from generate_series(1, 50)`,
    );
    await connection.db.execute(
      `delete from projects where name = 'bulk' and ctid in (select ctid from projects where name = 'bulk' limit 20)`,
    );
    const counted = await technologies();
    const all = await projects.getAllProjects(1000);
    for (const name of words) {
      const using = all.filter((project) => project.technologies.includes(name)).length;
      expect(
        counted.find((technology: { name: string }) => technology.name === name)?.projects ?? 0,
      ).toBe(using);
      expect((await walk(`&technology=${name}`, 200)).length).toBe(using);
    }
    await connection.db.execute('truncate projects');
    expect(await technologies()).toEqual([]);
  });
});
