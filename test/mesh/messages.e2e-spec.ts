import { randomUUID } from 'node:crypto';
import { type ClientProxy, ClientProxyFactory, Transport } from '@nestjs/microservices';
import { Logger } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { jest } from '@jest/globals';
import postgres from 'postgres';
import { createApplication } from '../../src/application.js';
import { createProjectsClient, type ProjectsClient } from '../../src/client/projects-client.js';
import { messageTransport } from '../../src/client/message-transport.js';
import { validateEnvironment } from '../../src/config/validate-environment.js';
import { ProjectMessages } from '../../src/projects/messages/project-messages.controller.js';
import { PROJECT_OPERATIONS } from '../../src/projects/messages/project-operations.token.js';
import { apiKey } from '../support/api-key.js';
import { aProject } from '../support/builders.js';
import { failureOf } from '../support/client-contract.js';
import { atEnd, endEachTest, until } from '../support/connections.js';
import { createTestDatabase } from '../support/database.js';
import { ask } from '../support/message-audit.js';
import { freePort } from '../support/free-port.js';
import { startNats } from '../support/nats.js';
import { withProgram } from '../support/needs.js';
import { startService, type TestService } from '../support/service.js';

const natsServer = withProgram('nats-server');
endEachTest();

async function tcpService(variables: Record<string, string> = {}) {
  const port = await freePort();
  const MESH_URL = `tcp://127.0.0.1:${port}`;
  const service = await startService({ MESH_TRANSPORT: 'tcp', MESH_URL, ...variables });
  atEnd(() => service.close());
  return { service, port };
}

async function tcpClient(port: number, token?: string): Promise<ProjectsClient> {
  const options = { transport: 'tcp', host: '127.0.0.1', port, token } as const;
  const client = createProjectsClient(await messageTransport(options));
  atEnd(() => client.close());
  return client;
}

function rawClient(port: number): ClientProxy {
  const options = { host: '127.0.0.1', port };
  const client = ClientProxyFactory.create({ transport: Transport.TCP, options });
  atEnd(() => client.close());
  return client;
}

it('the service authenticates callers by meta.token, checks their scope and records them in the history', async () => {
  const keys = { reader: apiKey('reader', 'read'), writer: apiKey('writer', 'read+write') };
  const AUTH_API_KEYS = `${keys.reader.entry},${keys.writer.entry}`;
  const { port } = await tcpService({ AUTH_MODE: 'api-key', AUTH_API_KEYS });
  const [stranger, reader, writer] = [
    await tcpClient(port),
    await tcpClient(port, keys.reader.key),
    await tcpClient(port, keys.writer.key),
  ];
  const unauthorized = { code: 'unauthorized', status: 401 };
  expect(await failureOf(stranger.list())).toMatchObject(unauthorized);
  expect(await failureOf((await tcpClient(port, 'guess')).list())).toMatchObject(unauthorized);
  expect(await failureOf(reader.create(aProject()))).toMatchObject({
    code: 'insufficient_scope',
    status: 403,
    detail: 'The caller needs the scope projects:write.',
  });
  const { project } = await writer.create(aProject());
  expect((await reader.history(project.id)).items).toMatchObject([{ actor: 'writer' }]);

  // A message does not identify its sender.
  const claim = { user: 'admin', meta: { token: keys.writer.key } };
  expect(await ask(rawClient(port), 'projects.create', claim)).toMatchObject({
    code: 'validation_failed',
    errors: [{ path: 'user' }],
  });
});

it('the service counts messages for the rate limit of their sender', async () => {
  const { port } = await tcpService({ RATE_LIMIT: '2/3600' });
  const client = createProjectsClient(
    await messageTransport({ transport: 'tcp', host: '127.0.0.1', port }),
    { retries: 0 },
  );
  atEnd(() => client.close());
  await client.list();
  await client.list();
  expect(await failureOf(client.list())).toMatchObject({ code: 'too_many_requests', status: 429 });
});

it.each([
  ['text', ''],
  [[{}], ''],
  [{ meta: [] }, 'meta'],
  [{ meta: { ifMatch: 7 } }, 'meta.ifMatch'],
  [{ query: 'limit=1' }, 'query'],
  [{ query: { limit: 2.5 } }, 'limit'],
  [{ query: { limit: [1, 2] } }, 'limit'],
  [{ query: { id: [randomUUID()], sort: 'name' } }, 'sort'],
  [{ body: {} }, 'body'],
])('the service refuses the message %j by name', async (message, path) => {
  const { port } = await shared();
  const answer = await ask(rawClient(port), 'projects.list', message);
  expect(answer).toMatchObject({
    success: false,
    code: 'validation_failed',
    status: 400,
    errors: [{ path, message: expect.any(String) }],
    requestId: expect.any(String),
  });
});

let sharedService: ReturnType<typeof startShared> | undefined;
function shared() {
  return (sharedService ??= startShared());
}
async function startShared() {
  const port = await freePort();
  const MESH_URL = `tcp://127.0.0.1:${port}`;
  return { port, service: await startService({ MESH_TRANSPORT: 'tcp', MESH_URL }) };
}
afterAll(async () => await (await sharedService)?.service.close());

it('the service answers an unknown pattern with a problem', async () => {
  const { port } = await shared();
  const answer: unknown = await ask(rawClient(port), 'projects.explode', {});
  expect(answer).toBe('There is no matching message handler defined in the remote service.');
});

it('the service refuses a message that is larger than BODY_LIMIT, and still answers others', async () => {
  const { port } = await tcpService({ BODY_LIMIT: '10kb' });
  const client = await tcpClient(port);
  const large = aProject({ description: 'x'.repeat(15_000) });
  expect(await failureOf(client.create(large, { timeoutMs: 3000 }))).toMatchObject({
    code: expect.stringMatching(/^(connection_lost|timeout)$/),
  });
  const { items } = await (await tcpClient(port)).list();
  expect(items).toEqual([]);
});

it('the service returns only the code of an internal failure', async () => {
  const run = () => Promise.reject(new Error('select secret from passwords'));
  const testing = await Test.createTestingModule({
    controllers: [ProjectMessages],
    providers: [{ provide: PROJECT_OPERATIONS, useValue: { run } }],
  }).compile();
  testing.useLogger(false);
  const app = testing.createNestApplication();
  const port = await freePort();
  app.connectMicroservice({ transport: Transport.TCP, options: { port } });
  await app.startAllMicroservices();
  atEnd(() => app.close());
  const meta = { requestId: 'request-7' };
  expect(await ask(rawClient(port), 'projects.list', { meta })).toEqual({
    success: false,
    type: 'urn:problem-type:internal_error',
    title: 'The service failed',
    status: 500,
    detail: 'The service failed. Find the error in its log by the request id.',
    instance: '',
    code: 'internal_error',
    requestId: 'request-7',
  });
});

it('the service counts and logs each message with its outcome, and no text of its sender', async () => {
  const key = apiKey('writer', 'read+write');
  const { service, port } = await tcpService({
    AUTH_MODE: 'api-key',
    AUTH_API_KEYS: key.entry,
    LOG_LEVEL: 'info',
    LOG_FORMAT: 'json',
  });
  await observesMessages({
    service,
    client: await tcpClient(port, key.key),
    stranger: await tcpClient(port, 'guessed-secret'),
    secrets: [key.key, 'guessed-secret'],
  });
});

natsServer.it('counts and logs each message over NATS too', async () => {
  const key = apiKey('writer', 'read+write');
  const nats = await startNats(natsServer.file);
  atEnd(() => nats.stop());
  const variables = { AUTH_MODE: 'api-key', AUTH_API_KEYS: key.entry } as const;
  const mesh = { MESH_TRANSPORT: 'nats', MESH_URL: nats.url };
  const service = await startService({
    ...mesh,
    ...variables,
    LOG_LEVEL: 'info',
    LOG_FORMAT: 'json',
  });
  atEnd(() => service.close());
  await observesMessages({
    service,
    client: await natsClient(nats.url, 2, key.key),
    stranger: await natsClient(nats.url, 2, 'guessed-secret'),
    secrets: [key.key, 'guessed-secret'],
  });
});

interface Observed {
  service: TestService;
  client: ProjectsClient;
  stranger: ProjectsClient;
  secrets: string[];
}

async function observesMessages({ service, client, stranger, secrets }: Observed) {
  await client.list();
  const logged = jest.spyOn(Logger.prototype, 'log').mockImplementation(() => undefined);
  const name = `typed-${randomUUID()}`;
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  await client.create(aProject({ name }), { requestId: 'request-8', traceparent });
  await failureOf(client.get(randomUUID()));
  await failureOf(stranger.list({ q: name }));
  const linesOf = () =>
    logged.mock.calls
      .map(([line]) => line as unknown)
      .filter((line) => typeof line === 'object' && line !== null && 'pattern' in line);
  await until(() => linesOf().length >= 3);
  const [lines, text] = [linesOf(), JSON.stringify(logged.mock.calls)];
  logged.mockRestore();
  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  const ms = expect.any(Number) as number;
  const requestId = expect.any(String) as string;
  expect(lines).toEqual([
    {
      ...{ pattern: 'projects.create', status: 200, ms, actor: 'writer' },
      ...{ requestId: 'request-8', traceId: '0af7651916cd43dd8448eb211c80319c' },
    },
    { pattern: 'projects.get', status: 404, code: 'not_found', ms, actor: 'writer', requestId },
    { pattern: 'projects.list', status: 401, code: 'unauthorized', ms, actor: '', requestId },
  ]);
  const count = (labels: string) => `message_duration_seconds_count{${labels}} 1\n`;
  expect(metrics).toContain(count('pattern="projects.create",status="200"'));
  expect(metrics).toContain(count('pattern="projects.get",status="404"'));
  expect(metrics).toContain(count('pattern="projects.list",status="401"'));
  for (const secret of [...secrets, name]) expect(text + metrics).not.toContain(secret);
}

it('a client over TCP reconnects to a service that was restarted', async () => {
  const port = await freePort();
  const variables = { MESH_TRANSPORT: 'tcp', MESH_URL: `tcp://127.0.0.1:${port}` };
  const service = await startService(variables);
  const transport = await messageTransport({ transport: 'tcp', host: '127.0.0.1', port });
  const client = createProjectsClient(transport, { retries: 0 });
  atEnd(() => client.close());
  expect((await client.list()).items).toEqual([]);
  await service.close();
  expect((await failureOf(client.list())).code).toMatch(/^(unreachable|connection_lost)$/);
  const restarted = await startService(variables);
  atEnd(() => restarted.close());
  await until(
    async () =>
      await client.list().then(
        () => true,
        () => false,
      ),
  );
});

natsServer.it('messages and events need the password of the broker', async () => {
  const nats = await startNats(natsServer.file, ['--user', 'app', '--pass', 'p:ss']);
  atEnd(() => nats.stop());
  const MESH_URL = nats.url.replace('nats://', 'nats://app:p%3Ass@');
  const service = await startService({ MESH_TRANSPORT: 'nats', MESH_URL });
  atEnd(() => service.close());
  const options = { transport: 'nats', servers: nats.url } as const;
  const client = createProjectsClient(
    await messageTransport({ ...options, user: 'app', pass: 'p:ss' }),
  );
  atEnd(() => client.close());
  expect((await client.list()).items).toEqual([]);
  const stranger = createProjectsClient(await messageTransport(options), { timeoutMs: 2000 });
  atEnd(() => stranger.close());
  expect((await failureOf(stranger.list())).code).toMatch(/^(unreachable|timeout)$/);
});

it('the service answers its accepted messages before it stops', async () => {
  const { service, port } = await startShared();
  const client = await tcpClient(port);
  await answersBeforeItStops(service, client);
});

natsServer.it('answers the messages that it has accepted over NATS before it stops', async () => {
  const nats = await startNats(natsServer.file);
  atEnd(() => nats.stop());
  const service = await startService({ MESH_TRANSPORT: 'nats', MESH_URL: nats.url });
  const client = await natsClient(nats.url);
  await answersBeforeItStops(service, client);
});

async function answersBeforeItStops(service: TestService, client: ProjectsClient) {
  const sql = postgres(service.database.url, { max: 1 });
  const { project } = await client.create(aProject());
  const lock = await sql.reserve();
  await lock`begin`;
  await lock`select from projects where id = ${project.id} for update`;
  const patching = client.patch(project.id, { name: 'Last' });
  await until(async () => {
    const [row] = await lock`select count(*)::int from pg_stat_activity
      where wait_event_type = 'Lock' and datname = current_database()`;
    return row!.count === 1;
  });
  const closing = service.close();
  await lock`commit`;
  lock.release();
  await sql.end();
  expect((await patching).project.name).toBe('Last');
  await closing;
}

async function natsClient(servers: string, retries = 2, token?: string): Promise<ProjectsClient> {
  const transport = await messageTransport({ transport: 'nats', servers, token });
  const client = createProjectsClient(transport, { retries });
  atEnd(() => client.close());
  return client;
}

natsServer.it(
  'fits each page of large projects into a message over NATS, and answers a batch that does not fit',
  async () => {
    const nats = await startNats(natsServer.file);
    atEnd(() => nats.stop());
    const service = await startService({ MESH_TRANSPORT: 'nats', MESH_URL: nats.url });
    atEnd(() => service.close());
    const transport = await messageTransport({ transport: 'nats', servers: nats.url });
    const client = createProjectsClient(transport);
    atEnd(() => client.close());
    const create = (description: string) => ({
      op: 'create' as const,
      project: aProject({ description }),
    });
    const large = create('x'.repeat(20_000));
    for (let batches = 0; batches < 3; batches++)
      await client.batch(Array.from({ length: 50 }, () => large));

    const [listed, changes] = [new Set<string>(), new Set<string>()];
    for await (const { id } of client.listAll({ limit: 200 })) listed.add(id!);
    for await (const { projectId } of client.changesAll({ limit: 200 })) changes.add(projectId);
    expect([listed.size, changes.size]).toEqual([150, 150]);

    const operations = Array.from({ length: 1000 }, () => create('x'.repeat(840)));
    const text = JSON.stringify(operations);
    expect(text.length).toBeLessThan(1024 * 1024);
    expect(await failureOf(client.batch(operations))).toMatchObject({
      code: 'payload_too_large',
      detail: expect.stringContaining('A write has been executed'),
      requestId: expect.any(String),
    });
    expect((await client.list({ count: 'exact' })).meta.total).toBe(1150);
  },
);

natsServer.it('waits for a broker while HTTP works, and reconnects to it', async () => {
  const nats = await startNats(natsServer.file);
  atEnd(() => nats.stop());
  await nats.kill();
  const service = await startService({ MESH_TRANSPORT: 'nats', MESH_URL: nats.url });
  atEnd(() => service.close());
  expect((await fetch(`${service.url}/api/projects`)).status).toBe(200);
  await until(async () => (await fetch(`${service.url}/health/ready`)).ok);

  const client = await natsClient(nats.url, 0);
  expect(await failureOf(client.list())).toMatchObject({ code: 'unreachable', status: 0 });
  await nats.start();
  const serves = () =>
    client.list({}, { timeoutMs: 2000 }).then(
      () => true,
      () => false,
    );
  await until(serves);
  await nats.kill();
  await until(async () => !(await serves()));
  expect((await fetch(`${service.url}/api/projects`)).status).toBe(200);
  await nats.start();
  await until(serves);
});

natsServer.it('stops while it waits for a broker', async () => {
  const database = await createTestDatabase();
  atEnd(() => database.drop());
  const app = await createApplication(
    validateEnvironment({
      DATABASE_URL: database.url,
      LOG_LEVEL: 'fatal',
      MESH_TRANSPORT: 'nats',
      MESH_URL: `nats://127.0.0.1:${await freePort()}`,
    }),
  );
  await app.listen(0, '127.0.0.1');
  await app.close();
});
