import { randomUUID } from 'node:crypto';
import type { ProjectsClient } from '../../src/client/projects-client.js';
import { ProjectsClientError } from '../../src/client/projects-client-error.js';
import type { Replicas } from '../../src/db/replicas/replicas.js';
import { aProject } from './builders.js';
import { until } from './connections.js';

/** The behaviour of every client, with any transport. Each test calls `client`. */
export function describeClient(client: () => ProjectsClient): void {
  it('creates, reads, replaces, changes and removes a project', async () => {
    const values = aProject();
    const created = await client().create(values);
    expect(created).toEqual({
      project: {
        ...values,
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        createdAt: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/),
        updatedAt: created.project.createdAt,
        version: 1,
      },
      etag: '"1"',
    });
    const { id } = created.project;
    expect(await client().get(id)).toEqual(created);
    const other = aProject({ technologies: ['Zig'] });
    const replaced = await client().put(id, other);
    expect(replaced).toMatchObject({ created: false, etag: '"2"', project: other });
    const patched = await client().patch(id, { description: 'Patched' });
    expect(patched).toMatchObject({ etag: '"3"', project: { description: 'Patched', version: 3 } });
    expect(await client().delete(id)).toEqual(patched.project);
    expect(await failureOf(client().get(id))).toMatchObject({ code: 'not_found', status: 404 });
  });

  it('creates a project with an id of the caller by put', async () => {
    const id = randomUUID();
    const { created, project, etag } = await client().put(id, aProject());
    expect({ created, id: project.id, etag }).toEqual({ created: true, id, etag: '"1"' });
  });

  it('writes and reads by ETag', async () => {
    const { project, etag } = await client().create(aProject());
    const { id } = project;
    expect(await client().getIfChanged(id, etag)).toBeUndefined();
    const patched = await client().patch(id, { name: 'New' }, { ifMatch: etag });
    expect(await client().getIfChanged(id, etag)).toEqual(patched);
    const mismatch = { code: 'version_mismatch', status: 412 };
    const old = { ifMatch: etag };
    expect(await failureOf(client().patch(id, { name: 'Newer' }, old))).toMatchObject(mismatch);
    expect(await failureOf(client().put(id, aProject(), old))).toMatchObject(mismatch);
    expect(await failureOf(client().delete(id, old))).toMatchObject(mismatch);
    expect(await failureOf(client().get(id, old))).toMatchObject(mismatch);
    const onlyNew = { ifNoneMatch: '*' };
    expect(await failureOf(client().put(id, aProject(), onlyNew))).toMatchObject(mismatch);
    expect(await failureOf(client().get(id, { ifMatch: '7' }))).toMatchObject({
      code: 'invalid_header',
      status: 400,
    });
    expect((await client().get(id)).project).toEqual(patched.project);
  });

  it('executes a create and a batch once for each Idempotency-Key', async () => {
    const key = { idempotencyKey: randomUUID() };
    const values = aProject();
    const first = await client().create(values, key);
    const patched = await client().patch(first.project.id, { description: 'Since changed' });
    expect(await client().create(values, key)).toEqual(first);
    expect(await failureOf(client().create(aProject(), key))).toMatchObject({
      code: 'idempotency_key_reused',
      status: 422,
    });
    expect((await client().get(first.project.id)).project).toEqual(patched.project);

    const operations = [{ op: 'create' as const, project: aProject() }];
    const batchKey = { idempotencyKey: randomUUID() };
    const done = await client().batch(operations, batchKey);
    expect(await client().batch(operations, batchKey)).toEqual(done);
    const bad = { idempotencyKey: 'with a space' };
    expect(await failureOf(client().create(aProject(), bad))).toMatchObject({
      code: 'invalid_header',
    });
  });

  it('executes all operations of a batch, or none', async () => {
    const [id, gone] = [randomUUID(), randomUUID()];
    const results = await client().batch([
      { op: 'create', project: aProject() },
      { op: 'replace', id, project: aProject({ name: 'Replaced' }) },
    ]);
    expect(results).toMatchObject([
      { op: 'create', status: 201, etag: '"1"' },
      { op: 'replace', status: 201, etag: '"1"', project: { id, name: 'Replaced' } },
    ]);
    const failure = await failureOf(
      client().batch([
        { op: 'delete', id },
        { op: 'delete', id: gone },
      ]),
    );
    expect(failure).toMatchObject({
      code: 'not_found',
      errors: [{ path: 'operations.1', message: 'there is no project with this id' }],
    });
    expect((await client().get(id)).project.name).toBe('Replaced');
  });

  it('reports every fault of a request', async () => {
    const body = { ...aProject({ name: '' }), colour: 'red' };
    expect(await failureOf(client().create(body))).toMatchObject({
      name: 'ProjectsClientError',
      code: 'validation_failed',
      status: 400,
      errors: [
        { path: 'colour', message: 'there is no such field or parameter' },
        { path: 'name', message: 'must be text of 1 to 255 characters' },
      ],
      requestId: expect.any(String),
    });
    const query = { limit: 0, page: 2 } as object;
    const { errors } = await failureOf(client().list(query));
    expect(errors.map(({ path }) => path)).toEqual(['page', 'limit']);
    expect(await failureOf(client().get('42'))).toMatchObject({ code: 'invalid_id', status: 400 });
    expect(await failureOf(client().create(aProject({ name: 'a\0b' })))).toMatchObject({
      code: 'invalid_encoding',
    });
    expect(await failureOf(client().patch(randomUUID(), {}))).toMatchObject({
      code: 'validation_failed',
    });
    expect(await failureOf(client().list({ after: 'x' }))).toMatchObject({
      code: 'invalid_cursor',
    });
  });

  it('lists with filters, fields and counts, and reads many projects by their ids', async () => {
    const technology = `T${randomUUID()}`;
    const made = [];
    for (const name of ['A', 'B', 'C']) {
      made.push((await client().create(aProject({ name, technologies: [technology] }))).project);
    }
    const page = await client().list({
      technology: [technology],
      sort: 'name',
      limit: 2,
      fields: 'id,name',
      count: 'exact',
    });
    expect(page).toEqual({
      items: made.slice(0, 2).map(({ id, name }) => ({ id, name })),
      meta: {
        limit: 2,
        nextCursor: expect.any(String),
        hasMore: true,
        total: 3,
        totalIsEstimate: false,
      },
    });
    const ids = [made[2]!.id, randomUUID(), made[0]!.id];
    expect(await client().getMany(ids)).toEqual([made[2], made[0]]);
    expect(await client().getMany(ids, { fields: 'name' })).toEqual([{ name: 'C' }, { name: 'A' }]);
    expect(await client().getMany([])).toEqual([]);
    expect(await client().technologies({ q: technology })).toEqual([
      { name: technology, projects: 3 },
    ]);
  });

  it('reads many projects by their ids, also if they are too large for one page', async () => {
    const description = 'x'.repeat(20_000);
    const ids: string[] = [];
    for (let batches = 0; batches < 2; batches++) {
      const operations = Array.from({ length: 30 }, () => ({
        op: 'create' as const,
        project: aProject({ description }),
      }));
      const results = await client().batch(operations);
      ids.push(...results.map(({ project }) => project!.id));
    }
    const found = await client().getMany(ids);
    expect(found.map(({ id }) => id)).toEqual(ids);
  });

  it('reads all pages once, and stops when the loop is left', async () => {
    const technology = `T${randomUUID()}`;
    const operations = Array.from({ length: 7 }, (_, i) => ({
      op: 'create' as const,
      project: aProject({ name: `W${i}`, technologies: [technology] }),
    }));
    await client().batch(operations);
    const names: unknown[] = [];
    for await (const { name } of client().listAll({
      technology: [technology],
      sort: 'name',
      limit: 3,
    })) {
      names.push(name);
    }
    expect(names).toEqual(['W0', 'W1', 'W2', 'W3', 'W4', 'W5', 'W6']);
    for await (const { name } of client().listAll({ technology: [technology], sort: 'name' })) {
      expect(name).toBe('W0');
      break;
    }
  });

  it('reads the history of a project and the feed after a cursor', async () => {
    const start = (await client().changes({ after: 'now' })).meta.nextCursor;
    const requestId = `request-${randomUUID()}`;
    const { project } = await client().create(aProject(), { requestId });
    const { id } = project;
    await client().patch(id, { name: 'Second' });
    await client().delete(id);
    const entries = [];
    for await (const entry of client().historyAll(id, { limit: 2 })) entries.push(entry);
    expect(entries.map(({ action, version }) => [action, version])).toEqual([
      ['deleted', 3],
      ['updated', 2],
      ['created', 1],
    ]);
    expect(entries[2]).toMatchObject({ requestId, before: null, after: project });
    const seen = [];
    for await (const change of client().changesAll({ after: start, limit: 2 })) {
      if (change.projectId === id) seen.push(change);
    }
    expect(seen.map(({ action }) => action)).toEqual(['created', 'updated', 'deleted']);
    expect(seen[0]).toMatchObject({ requestId, before: null, after: project, version: 1 });
  });

  it('ends a call at its timeout, and at once when the caller aborts it', async () => {
    const failure = await failureOf(client().list({}, { timeoutMs: 0 }));
    expect(failure).toMatchObject({ code: 'timeout', status: 0 });
    const reason = new Error('I have changed my mind');
    const signal = AbortSignal.abort(reason);
    await expect(client().list({}, { signal })).rejects.toBe(reason);
  });
}

/** Returns the error that a call rejects with, which must be a ProjectsClientError. */
export async function failureOf(call: Promise<unknown>): Promise<ProjectsClientError> {
  const error: unknown = await call.then(
    () => new Error('It succeeded.'),
    (reason: unknown) => reason,
  );
  if (error instanceof ProjectsClientError) return error;
  throw error;
}

/** The servers that a test needs to show that the reads of a client see its writes. */
export interface ConsistencySetting {
  client: () => ProjectsClient;
  /** The URL of a service with one replica and without a limit for its lag. */
  replicas: () => Replicas;
  /** Pauses the replay of the replica until the test ends. */
  pauseReplay: () => Promise<void>;
  replayed: () => Promise<void>;
}

/** Every client reads its own writes, whichever replica the service uses. */
export function describeConsistency(setting: ConsistencySetting): void {
  const { client, replicas, pauseReplay, replayed } = setting;
  const isHealthy = () => replicas().stats()[0]!.healthy;
  const readsOnReplica = () => replicas().stats()[0]!.reads;

  it('reads its own writes while the replay of the replica is paused', async () => {
    const { project: old } = await client().create(aProject({ name: 'Old' }));
    await replayed();
    await until(isHealthy, 60_000);
    await pauseReplay();
    const stranger = client().session();
    const technology = `T${randomUUID()}`;
    const { id } = (await client().create(aProject({ technologies: [technology] }))).project;
    expect(client().consistencyToken).toMatch(/^1-/);

    // Waits until the service reads on the replica, which does not have the write.
    expect(await failureOf(stranger.get(id))).toMatchObject({ code: 'not_found' });
    expect((await client().get(id)).project.version).toBe(1);
    expect(await client().getMany([id])).toHaveLength(1);
    expect((await client().list({ technology: [technology] })).items).toHaveLength(1);
    expect(await client().technologies({ q: technology })).toHaveLength(1);
    expect((await client().history(id)).items).toHaveLength(1);

    await client().patch(old.id, { name: 'Patched' });
    expect((await client().get(old.id)).project.name).toBe('Patched');
    await client().put(old.id, aProject({ name: 'Put' }));
    expect((await client().get(old.id)).project.name).toBe('Put');
    const replace = { op: 'replace' as const, id: old.id, project: aProject({ name: 'Batch' }) };
    await client().batch([replace]);
    expect((await client().get(old.id)).project.name).toBe('Batch');
    await client().delete(old.id);
    expect(await failureOf(client().get(old.id))).toMatchObject({ code: 'not_found' });
    expect((await stranger.get(old.id)).project.name).toBe('Old');
  }, 120_000);

  it('passes its token to a session, and keeps the writes of the session separate', async () => {
    await replayed();
    await until(isHealthy, 60_000);
    await pauseReplay();
    const { id } = (await client().create(aProject())).project;
    const informed = client().session(client().consistencyToken);
    expect((await informed.get(id)).project.id).toBe(id);
    const options = { consistencyToken: client().consistencyToken };
    expect((await client().session().get(id, options)).project.id).toBe(id);

    const other = client().session();
    const { id: second } = (await other.create(aProject())).project;
    expect((await other.get(second)).project.id).toBe(second);
    expect(await failureOf(client().session().get(second))).toMatchObject({ code: 'not_found' });
    await other.close();
    expect((await client().get(id)).project.id).toBe(id);
  }, 120_000);

  it('reads on the replica as soon as the replica has replayed its writes', async () => {
    const { id } = (await client().create(aProject())).project;
    await until(async () => {
      const before = readsOnReplica();
      expect((await client().get(id)).project.id).toBe(id);
      return readsOnReplica() > before;
    }, 60_000);
  }, 120_000);

  it('refuses an invalid token, and reads on the primary with a later one and with one of another timeline', async () => {
    await until(isHealthy, 60_000);
    for (const consistencyToken of ['forged', '1-0/1, 1-0/1', '']) {
      expect(await failureOf(client().list({}, { consistencyToken }))).toMatchObject({
        code: 'invalid_header',
        status: 400,
      });
    }
    const before = replicas().readsOnPrimary;
    for (const token of ['1-FFFFFFFF/0', 'FFFFFFFF-0/1', 'FFFFFFFF-FFFFFFFF/FFFFFFFF']) {
      await client().session(token).list();
    }
    expect(replicas().readsOnPrimary).toBe(before + 3);
  }, 120_000);
}
