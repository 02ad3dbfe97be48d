import { Test } from '@nestjs/testing';
import type { INestApplicationContext } from '@nestjs/common';
import { PROJECTS_CLIENT, type ProjectsClient } from '../../src/client/projects-client.js';
import {
  ProjectsClientModule,
  type ProjectsClientOptions,
} from '../../src/client/projects-client.module.js';
import { DatabaseModule } from '../../src/db/database.module.js';
import { describeClient } from '../support/client-contract.js';
import { createTestDatabase } from '../support/database.js';
import { freePort } from '../support/free-port.js';
import { type Nats, startNats } from '../support/nats.js';
import { withProgram } from '../support/needs.js';
import { startService, type TestService } from '../support/service.js';

const natsServer = withProgram('nats-server');

type Close = () => Promise<unknown>;
const closes: Close[] = [];
afterAll(async () => {
  for (const close of closes.reverse()) await close();
});

/** A foreign application that contains only the client. */
async function clientOf(
  options: ProjectsClientOptions,
  imports: object[] = [],
): Promise<ProjectsClient> {
  const module: INestApplicationContext = await Test.createTestingModule({
    imports: [...(imports as []), ProjectsClientModule.register(options)],
  }).compile();
  await module.init();
  closes.push(() => module.close());
  return module.get<ProjectsClient>(PROJECTS_CLIENT);
}

async function service(variables: Record<string, string> = {}): Promise<TestService> {
  const started = await startService(variables);
  closes.push(() => started.close());
  return started;
}

describe('a client in process', () => {
  let client: ProjectsClient;
  beforeAll(async () => {
    const database = await createTestDatabase();
    closes.push(() => database.drop());
    client = await clientOf({ local: true }, [DatabaseModule.forRoot({ url: database.url })]);
  });
  describeClient(() => client);
});

describe('a client over HTTP', () => {
  let client: ProjectsClient;
  beforeAll(async () => {
    const { url } = await service();
    client = await clientOf({ http: { url: `${url}/api` } });
  });
  describeClient(() => client);
});

describe('a client over TCP messages', () => {
  let client: ProjectsClient;
  beforeAll(async () => {
    const port = await freePort();
    await service({ MESH_TRANSPORT: 'tcp', MESH_URL: `tcp://127.0.0.1:${port}` });
    client = await clientOf({ messages: { transport: 'tcp', host: '127.0.0.1', port } });
  });
  describeClient(() => client);
});

natsServer.describe('a client over NATS messages', () => {
  let client: ProjectsClient;
  let nats: Nats;
  beforeAll(async () => {
    nats = await startNats(natsServer.file);
    closes.push(() => nats.stop());
    await service({ MESH_TRANSPORT: 'nats', MESH_URL: nats.url });
    client = await clientOf({ messages: { transport: 'nats', servers: nats.url } });
  });
  describeClient(() => client);
});
