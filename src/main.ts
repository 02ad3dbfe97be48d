import { Logger } from '@nestjs/common';
import { ChangeStreams } from './changes/change-streams.js';
import { databaseServer } from './config/database-server.js';
import { type Environment, readEnvironment } from './config/environment.js';
import { isStartedByNpm } from './config/npm.js';
import { Readiness } from './health/readiness.js';
import { createApplication } from './application.js';
import { drainable } from './http/server/drain.js';
import { Metrics } from './observability/metrics.js';
import { serveMetrics } from './observability/metrics-endpoint.js';
import { stopOnSignals } from './process/stop-on-signals.js';

/** What closes each thing that was opened, in the order of opening. */
const opened: (() => unknown)[] = [];

try {
  const environment = await readEnvironment();
  const starting = start(environment);
  stopOnSignals({
    timeoutMs: environment.SHUTDOWN_TIMEOUT_MS,
    endWithParent: isStartedByNpm(),
    stop: async () => {
      await starting; // or the PostgreSQL that is just being started would be left behind
      await closeAll();
    },
  });
  await starting;
} catch (error) {
  const { message, exitCode = 1 } = error as Error & { exitCode?: number };
  console.error(message);
  await closeAll();
  process.exit(exitCode);
}

async function start(environment: Environment): Promise<void> {
  const { HOST, PORT, SHUTDOWN_TIMEOUT_MS } = environment;
  const postgres = await databaseServer(environment);
  opened.push(() => postgres.stop());
  const app = await createApplication({ ...environment, DATABASE_URL: postgres.url });
  opened.push(() => app.close());
  if (postgres.notice) new Logger('Database').warn(postgres.notice);
  if (environment.METRICS_PORT !== undefined)
    opened.push(await serveMetrics(app.get(Metrics), environment.METRICS_PORT, HOST));
  const drain = drainable(app.getHttpServer());
  await app.listen(PORT, HOST).catch((error: Error) => {
    throw cannotListen(`${HOST}:${PORT}`, error);
  });
  opened.push(() => drain({ graceMs: Math.min(500, SHUTDOWN_TIMEOUT_MS / 4) }));
  // Of every entity that has some. The drain would wait for their answers.
  const streams = app.get(ChangeStreams, { each: true });
  opened.push(() => Promise.all(streams.map((each) => each.stop())));
  opened.push(() => app.get(Readiness).stop());
  const url = await app.getUrl();
  new Logger('Service').log(`Projects Service listens on ${url}, Swagger UI on ${url}/docs`);
}

async function closeAll(): Promise<void> {
  for (const close of opened.splice(0).reverse()) await close();
}

function cannotListen(address: string, cause: NodeJS.ErrnoException): Error {
  const reason =
    cause.code === 'EADDRINUSE'
      ? 'the port is in use. Set PORT to another one, or to 0 for any that is free.'
      : cause.message;
  return new Error(`Cannot listen on ${address}: ${reason}`, { cause });
}
