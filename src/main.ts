import { Logger } from '@nestjs/common';
import { createApplication, listen, openMetrics } from './application.js';
import { databaseServer } from './config/database-server.js';
import { isStartedByNpm } from './config/npm.js';
import { readEnvironment } from './config/read-environment.js';
import { describeError } from './db/explain-error.js';
import { allocateInYoungGeneration } from './process/garbage-collection.js';
import { exitWith, run } from './process/run.js';

const environment = await readEnvironment().catch(exitWith(describeError));
const { SHUTDOWN_TIMEOUT_MS: timeoutMs, SHUTDOWN_DELAY_MS: delayMs } = environment;

const options = { timeoutMs, endWithParent: isStartedByNpm(), describe: describeError };
await run(options, async (onStop) => {
  const postgres = await databaseServer(environment);
  onStop(() => postgres.stop());
  const graceMs = Math.min(delayMs, timeoutMs / 2);
  const app = await createApplication({ ...environment, DATABASE_URL: postgres.url }, { graceMs });
  onStop(await openMetrics(app, environment));
  onStop(() => app.close());
  if (postgres.notice) new Logger('Database').warn(postgres.notice);
  const url = await listen(app, environment);
  allocateInYoungGeneration();
  new Logger('Service').log(`Projects Service listens on ${url}, Swagger UI on ${url}/docs`);
});
