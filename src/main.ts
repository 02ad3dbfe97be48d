import { Logger } from '@nestjs/common';
import { databaseServer } from './config/database-server.js';
import { type Environment, readEnvironment } from './config/environment.js';
import { Readiness } from './health/readiness.js';
import { createApplication } from './http/application.js';
import { drain, stopOnSignals } from './http/shutdown.js';

try {
  await serve(await readEnvironment());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit((error as { exitCode?: number }).exitCode ?? 1);
}

async function serve(environment: Environment): Promise<void> {
  const postgres = await databaseServer(environment);
  const app = await createApplication({ ...environment, DATABASE_URL: postgres.url });
  stopOnSignals({
    timeoutMs: environment.SHUTDOWN_TIMEOUT_MS,
    stop: async () => {
      app.get(Readiness).stop();
      await drain(app.getHttpServer());
      await app.close();
      await postgres.stop();
    },
  });
  try {
    await app.listen(environment.PORT, environment.HOST);
  } catch (error) {
    await app.close();
    await postgres.stop();
    throw error;
  }
  const url = await app.getUrl();
  new Logger('Service').log(`Projects Service listens on ${url}, Swagger UI on ${url}/docs`);
}
