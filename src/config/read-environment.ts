import { ConfigModule } from '@nestjs/config';
import { type Environment, validateEnvironment } from './environment.js';

/** `.env` and the process's environment, which wins. Throws ConfigurationError, which names every fault. */
export async function readEnvironment(): Promise<Environment> {
  let environment: Environment | undefined;
  await ConfigModule.forRoot({
    validate: (variables) => {
      environment = validateEnvironment(variables);
      return {}; // what is returned would be written into process.env, the defaults too
    },
  });
  return environment!;
}
