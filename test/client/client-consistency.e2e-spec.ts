import { Test } from '@nestjs/testing';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { createApplication } from '../../src/application.js';
import { PROJECTS_CLIENT, type ProjectsClient } from '../../src/client/projects-client.js';
import {
  ProjectsClientModule,
  type ProjectsClientOptions,
} from '../../src/client/projects-client.module.js';
import type { Environment } from '../../src/config/environment.js';
import { validateEnvironment } from '../../src/config/validate-environment.js';
import type { Db } from '../../src/db/connection.js';
import { DATABASE, DatabaseModule } from '../../src/db/database.module.js';
import { migrate } from '../../src/db/migrate.js';
import { type Replicas, replicasOf } from '../../src/db/replicas/replicas.js';
import { describeConsistency } from '../support/client-contract.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { atEnd, connectPlainly, endEachTest, until } from '../support/connections.js';
import { freePort } from '../support/free-port.js';
import { startNats } from '../support/nats.js';
import { withProgram } from '../support/needs.js';

const natsServer = withProgram('nats-server');
const LONG = 60_000;
endEachTest();

let cluster: Cluster;
const closes: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  cluster = await startCluster();
  await migrate({ url: cluster.primary });
  await cluster.replayed();
});
afterAll(async () => {
  for (const close of closes.reverse()) await close();
  await cluster.stop();
});

/** Starts the service with the standby as a replica without a limit for its lag. */
async function startService(variables: Partial<Record<keyof Environment, string>> = {}) {
  const app = await createApplication(
    validateEnvironment({
      DATABASE_URL: cluster.primary,
      DATABASE_REPLICA_URLS: cluster.standby,
      DATABASE_REPLICA_MAX_LAG_MS: '0',
      NODE_ENV: 'test',
      LOG_LEVEL: 'fatal',
      MIGRATIONS: 'off',
      ...variables,
    }),
  );
  closes.push(() => app.close());
  await app.listen(0, '127.0.0.1');
  return app;
}

async function clientOf(options: ProjectsClientOptions, imports: object[] = []) {
  const module = await Test.createTestingModule({
    imports: [...(imports as []), ProjectsClientModule.register(options)],
  }).compile();
  await module.init();
  closes.push(() => module.close());
  return module;
}

/** Pauses the replay of the standby until the test ends. */
async function pauseReplay(): Promise<void> {
  const standby = connectPlainly(cluster.standby);
  atEnd(() => standby`select pg_wal_replay_resume()`);
  await standby`select pg_wal_replay_pause()`;
  await until(async () => {
    const [row] = await standby`select pg_get_wal_replay_pause_state() as state`;
    return row!.state === 'paused';
  }, LONG);
}

let client: ProjectsClient;
let replicas: Replicas;
const use = (options: ProjectsClientOptions, app: NestExpressApplication) =>
  clientOf(options).then((module) => {
    client = module.get<ProjectsClient>(PROJECTS_CLIENT);
    replicas = replicasOf(app.get<Db>(DATABASE))!;
  });
const setting = {
  client: () => client,
  replicas: () => replicas,
  pauseReplay,
  replayed: () => cluster.replayed(),
};

describe('in process', () => {
  beforeAll(async () => {
    const configs = [{ url: cluster.standby }];
    const database = DatabaseModule.forRoot({
      url: cluster.primary,
      replicas: { configs, maxLagMs: 0 },
    });
    const module = await clientOf({ local: true }, [database]);
    client = module.get<ProjectsClient>(PROJECTS_CLIENT);
    replicas = replicasOf(module.get<Db>(DATABASE))!;
  });
  describeConsistency(setting);
});

describe('over HTTP', () => {
  beforeAll(async () => {
    const app = await startService();
    await use({ http: { url: `${await app.getUrl()}/api` } }, app);
  });
  describeConsistency(setting);
});

describe('over TCP messages', () => {
  beforeAll(async () => {
    const port = await freePort();
    const MESH_URL = `tcp://127.0.0.1:${port}`;
    const app = await startService({ MESH_TRANSPORT: 'tcp', MESH_URL });
    await use({ messages: { transport: 'tcp', host: '127.0.0.1', port } }, app);
  });
  describeConsistency(setting);
});

natsServer.describe('over NATS messages', () => {
  beforeAll(async () => {
    const nats = await startNats(natsServer.file);
    closes.push(() => nats.stop());
    const app = await startService({ MESH_TRANSPORT: 'nats', MESH_URL: nats.url });
    await use({ messages: { transport: 'nats', servers: nats.url } }, app);
  });
  describeConsistency(setting);
});
