import { ConfigModule } from '@nestjs/config';
import { environmentFile } from './command-environment.js';
import type { Environment } from './environment.js';
import { validateEnvironment } from './validate-environment.js';

/** Reads `.env` and the environment of the process, which takes precedence. Throws ConfigurationError with every fault. */
export async function readEnvironment(): Promise<Environment> {
  environmentFile(); // the error of Nest does not name the file
  let environment: Environment | undefined;
  await ConfigModule.forRoot({
    validate: (variables) => {
      environment = validateEnvironment(variables);
      return {}; // Nest would write the returned variables into process.env, also the defaults
    },
  });
  return environment!;
}
