import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import postgres from 'postgres';
import { createApplication } from '../../src/application.js';
import { feedCursor, toChangeDto } from '../../src/changes/feed.js';
import { validateEnvironment } from '../../src/config/validate-environment.js';
import { parseMeshUrl } from '../../src/config/mesh-url.js';
import type { FeedChange, FeedPosition } from '../../src/db/entity/change-feed.js';
import { createChangesFactory } from '../../src/db/entity/changes.factory.js';
import { createProjectsFactory } from '../../src/db/factories/projects/projects.factory.js';
import { toCloudEvent } from '../../src/mesh/cloud-event.js';
import { EventStream } from '../../src/mesh/event-stream.js';
import { aProject } from '../support/builders.js';
import { atEnd, connect as connectDatabase, endEachTest, until } from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type Nats, startNats } from '../support/nats.js';
import { withProgram } from '../support/needs.js';
import { killServices, startProcess } from '../support/process.js';

const program = withProgram('nats-server');
const STREAM = 'PROJECTS_CHANGES';
endEachTest();
afterAll(killServices);

interface Mesh {
  nats: Nats;
  database: TestDatabase;
  /** Starts another instance of the service; resolves with its URL and a function that closes it. */
  instance: () => Promise<{ url: string; close: () => Promise<void> }>;
  write: (count: number) => Promise<void>;
  feed: () => Promise<FeedChange[]>;
}

async function mesh(): Promise<Mesh> {
  const nats = await startNats(program.file);
  atEnd(() => nats.stop());
  const database = await createTestDatabase();
  atEnd(() => database.drop());
  const { db } = connectDatabase({ url: database.url });
  const projects = createProjectsFactory(db);
  const changes = createChangesFactory(db, 'project');
  const read = (after?: FeedPosition) => changes.getFeedPage({ after, limit: 200 });
  return {
    nats,
    database,
    instance: async () => {
      const app = await createApplication(validateEnvironment(variables(database, nats)));
      await app.listen(0, '127.0.0.1');
      let closing: Promise<void> | undefined;
      const close = () => (closing ??= app.close());
      atEnd(close);
      return { url: await app.getUrl(), close };
    },
    write: async (count) => {
      for (let i = 0; i < count; i++) await projects.createProject(aProject());
    },
    feed: async () => {
      const all: FeedChange[] = [];
      let page = await read();
      for (; page.changes.length > 0; page = await read(page.next)) all.push(...page.changes);
      return all;
    },
  };
}

function variables(database: TestDatabase, nats: Nats) {
  return {
    DATABASE_URL: database.url,
    NODE_ENV: 'test',
    LOG_LEVEL: 'fatal',
    MESH_TRANSPORT: 'nats',
    MESH_URL: nats.url,
    MESH_SOURCE: '/test',
  };
}

async function manager({ url }: Nats): Promise<{ nc: NatsConnection; jsm: JetStreamManager }> {
  const nc = await connect({ servers: url, maxReconnectAttempts: -1, waitOnFirstConnect: true });
  atEnd(() => nc.close());
  return { nc, jsm: await jetstreamManager(nc) };
}

/** Returns the number of messages in the stream; 0 if it does not exist. */
async function count(jsm: JetStreamManager): Promise<number> {
  const info = await jsm.streams.info(STREAM).catch(() => undefined);
  return info?.state.messages ?? 0;
}

async function messages(jsm: JetStreamManager) {
  const { state } = await jsm.streams.info(STREAM);
  const all = [];
  for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
    all.push((await jsm.streams.getMessage(STREAM, { seq }))!);
  }
  return all;
}

/** Waits until the stream has as many messages as the feed has changes, and compares them. */
async function expectWholeFeed({ nats, feed }: Mesh): Promise<void> {
  const expected = (await feed()).map((change) => feedCursor('project', change));
  const { jsm } = await manager(nats);
  await until(async () => (await count(jsm)) >= expected.length, 60_000);
  const ids = (await messages(jsm)).map(({ header }) => header.get('Nats-Msg-Id'));
  expect(ids).toEqual(expected);
}

/** The example of docs/events.md. */
async function documentedEvent(): Promise<object> {
  const text = await readFile('docs/events.md', 'utf8');
  const [, json] = /<!-- event -->\s+```json\n([^]*?)```/.exec(text)!;
  return JSON.parse(json!);
}

/** Removes the headers of JetStream itself. */
function withoutNats<T extends { headers: object }>(event: T): T {
  const own = Object.entries(event.headers).filter(([name]) => !name.startsWith('Nats-'));
  return { ...event, headers: Object.fromEntries(own) };
}

/** Replaces the parts of a value that differ between events. */
function shapeOf(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return [];
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, part]) => [key, shapeOf(part, key)]),
    );
  }
  if (['ce-specversion', 'ce-type', 'content-type', 'action', 'version'].includes(name))
    return value;
  const text = String(value);
  const known = text
    .replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/, '<id>')
    .replace(/^\d{4}-\d\d-\d\dT.*Z$/, '<time>')
    .replace(/^[\w-]+\.[\w-]{22}$/, '<cursor>');
  return known.includes('<') ? known : typeof value;
}

async function metricOf(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name} (.+)$`, 'm').exec(text)![1]);
}

program.describe('the relay', () => {
  it('publishes each change as a CloudEvent', async () => {
    const own = await mesh();
    const { jsm } = await manager(own.nats);
    await own.instance();
    const { db } = connectDatabase({ url: own.database.url });
    const by = { actor: 'ada', requestId: randomUUID() };
    await createProjectsFactory(db).createProject(aProject({ name: 'PostgreSQL' }), by);
    await until(async () => (await count(jsm)) === 1);
    const [change] = await own.feed();
    const [message] = await messages(jsm);
    const { cursor, projectId, at } = toChangeDto(change!) as never as Record<string, string>;
    expect(message!.subject).toBe(`projects.changes.${projectId}.created`);
    expect(message!.json()).toEqual(toChangeDto(change!));
    const headers = message!.header.keys().map((name) => [name, message!.header.get(name)]);
    const example = await documentedEvent();
    const real = {
      subject: message!.subject,
      headers: Object.fromEntries(headers),
      data: message!.json(),
    };
    expect(shapeOf(withoutNats(real))).toEqual(shapeOf(example));
    expect(Object.fromEntries(headers)).toMatchObject({
      'ce-specversion': '1.0',
      'ce-id': cursor,
      'ce-source': '/test',
      'ce-type': 'projects-service.project.created',
      'ce-subject': projectId,
      'ce-time': at,
      'ce-partitionkey': projectId,
      'content-type': 'application/json',
      'Nats-Msg-Id': cursor,
    });
  });

  it('runs on one of many instances, and on another one when that instance stops', async () => {
    const own = await mesh();
    const instances = [await own.instance(), await own.instance(), await own.instance()];
    await own.write(30);
    await expectWholeFeed(own);
    const published = await Promise.all(
      instances.map(({ url }) => metricOf(url, 'relay_published_total')),
    );
    expect(published.toSorted((a, b) => a - b)).toEqual([0, 0, 30]);
    await instances[published.indexOf(30)]!.close();
    await own.write(30);
    await expectWholeFeed(own);
  });

  it('lets writes continue while the broker is unavailable, reports the lag, and catches up', async () => {
    const own = await mesh();
    await own.nats.kill();
    const { url } = await own.instance();
    await own.write(250);
    const lag = () => metricOf(url, 'relay_lag_seconds');
    await until(async () => (await lag()) > 1);
    await own.nats.start();
    await expectWholeFeed(own);
    await until(async () => (await lag()) === 0);
  });

  it('publishes nothing twice when it stops between publishing and recording', async () => {
    const own = await mesh();
    const first = await own.instance();
    await own.write(5);
    await expectWholeFeed(own);
    await first.close();
    const sql = postgres(own.database.url, { max: 1 });
    await sql`update relays set position = null, sequence = null, commit_time = null`;
    await sql.end();
    await own.instance();
    await own.write(5);
    await expectWholeFeed(own);
  });

  it('continues from its row with unpublished changes after the stream was purged', async () => {
    const own = await mesh();
    const first = await own.instance();
    await own.write(3);
    await expectWholeFeed(own);
    await first.close();
    const { jsm } = await manager(own.nats);
    await jsm.streams.purge(STREAM);
    await own.instance();
    await own.write(2);
    await until(async () => (await count(jsm)) === 2);
    const ids = (await messages(jsm)).map(({ header }) => header.get('Nats-Msg-Id'));
    const cursors = (await own.feed()).map((change) => feedCursor('project', change));
    expect(ids).toEqual(cursors.slice(3));
  });

  it('does not change the configuration of an existing stream', async () => {
    const own = await mesh();
    const { jsm } = await manager(own.nats);
    const subjects = ['projects.changes.>'];
    await jsm.streams.add({ name: STREAM, subjects, max_msgs: 3, description: 'mine' });
    await own.instance();
    await own.write(5);
    const cursors = (await own.feed()).map((change) => feedCursor('project', change));
    await until(async () => (await jsm.streams.info(STREAM)).state.last_seq === 5);
    const ids = (await messages(jsm)).map(({ header }) => header.get('Nats-Msg-Id'));
    expect(ids).toEqual(cursors.slice(2));
    expect((await jsm.streams.info(STREAM)).config).toMatchObject({
      description: 'mine',
      max_msgs: 3,
    });
  });

  it('stops with an error when retention has removed unpublished changes', async () => {
    const own = await mesh();
    const first = await own.instance();
    await own.write(2);
    await expectWholeFeed(own);
    await first.close();
    await own.write(2);
    const sql = postgres(own.database.url, { max: 1 });
    await sql`update change_expiry set (position, sequence, at) =
      (select position, 9223372036854775807, at from change_commits order by position desc limit 1)`;
    await sql`delete from change_commits`;
    await sql.end();
    const child = await startProcess({
      ...variables(own.database, own.nats),
      LOG_LEVEL: 'info',
      LOG_FORMAT: 'json',
    });
    const url = await child.url;
    await until(
      () => /events are no longer published: changes after the last/.test(child.errors()),
      60_000,
    );
    expect(await metricOf(url, 'relay_lag_seconds')).toBeGreaterThanOrEqual(0);
    const { jsm } = await manager(own.nats);
    expect(await count(jsm)).toBe(2);
    child.send('SIGTERM');
    await child.ended;
  });

  it('publishes nothing after it was frozen for longer than its lease', async () => {
    const own = await mesh();
    const started = variables(own.database, own.nats);
    const frozen = await startProcess({ ...started, LOG_LEVEL: 'info' });
    const frozenUrl = await frozen.url;
    await own.write(3);
    await until(async () => (await metricOf(frozenUrl, 'relay_published_total')) === 3);
    frozen.send('SIGSTOP');
    const other = await own.instance();
    await own.write(40);
    await expectWholeFeed(own); // the other instance waited for the end of the lease
    frozen.send('SIGCONT');
    await own.write(40);
    await expectWholeFeed(own);
    expect(await metricOf(frozenUrl, 'relay_published_total')).toBe(3);
    expect(await metricOf(other.url, 'relay_published_total')).toBe(80);
    frozen.send('SIGTERM');
    await frozen.ended;
  });
});

program.describe('the stream of events', () => {
  async function stream(nats: Nats): Promise<EventStream> {
    const address = parseMeshUrl('nats', nats.url) as never;
    const opened = await EventStream.open(address, 'projects');
    atEnd(() => opened.close());
    return opened;
  }

  async function events(own: Mesh) {
    return (await own.feed()).map((change) =>
      toCloudEvent(change, { source: '/test', path: 'projects' }),
    );
  }

  it('refuses a message that does not follow its end, and all later messages of the batch', async () => {
    const own = await mesh();
    await own.write(6);
    const all = await events(own);
    const [zombie, holder] = [await stream(own.nats), await stream(own.nats)];
    const end = await zombie.publish(all.slice(0, 2), await zombie.end());
    const newEnd = await holder.publish(all.slice(2, 4), end);
    // Outside the window in which the broker detects repeated ids, these are other messages.
    const late = all.slice(2, 6).map((event) => ({ ...event, id: `${event.id}-late` }));
    await expect(zombie.publish(late, end)).rejects.toMatchObject({ code: 10070 });
    await expect(zombie.publish(all.slice(2, 4), end)).resolves.toEqual(newEnd); // the broker knows them and does not store them
    await holder.publish(all.slice(4), newEnd);
    const { jsm } = await manager(own.nats);
    const ids = (await messages(jsm)).map(({ header }) => header.get('Nats-Msg-Id'));
    expect(ids).toEqual(all.map(({ id }) => id));
  });

  it('omits documents that are too large for the broker, and logs it', async () => {
    const own = await mesh();
    await own.write(1);
    const [event] = await events(own);
    const large = { ...event!.data, after: { description: 'x'.repeat(1_100_000) } };
    const opened = await stream(own.nats);
    await opened.publish([{ ...event!, data: large }], await opened.end());
    const { jsm } = await manager(own.nats);
    const [message] = await messages(jsm);
    expect(message!.header.get('ce-truncated')).toBe('true');
    expect(message!.json()).toEqual({ ...event!.data, before: null, after: null });
  });
});
