import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Environment } from '../../src/config/environment.js';
import { validateEnvironment } from '../../src/config/validate-environment.js';
import { createApplication } from '../../src/application.js';
import { createTestDatabase, type TestDatabase } from './database.js';

export interface TestService {
  app: NestExpressApplication;
  url: string;
  database: TestDatabase;
  close(): Promise<void>;
}

/** Starts the real application on a new database, listening on a free port. */
export async function startService(
  variables: Partial<Record<keyof Environment, string>> = {},
): Promise<TestService> {
  const database = await createTestDatabase();
  const app = await createApplication(
    validateEnvironment({
      DATABASE_URL: database.url,
      NODE_ENV: 'test',
      LOG_LEVEL: 'fatal',
      ...variables,
    }),
  );
  await app.listen(0, '127.0.0.1');
  return {
    app,
    url: await app.getUrl(),
    database,
    close: async () => {
      await app.close();
      await database.drop();
    },
  };
}
