import { existsSync, readFileSync } from 'node:fs';
import { parse } from 'dotenv';
import type { Environment } from './environment.js';
import { validateEnvironment } from './validate-environment.js';

/**
 * Returns the same as `readEnvironment`, but without loading Nest, for the commands. @nestjs/config parses `.env` with
 * the same library. Throws ConfigurationError.
 */
export function readCommandEnvironment(variables = process.env): Environment {
  const file = existsSync('.env') ? parse(readFileSync('.env')) : {};
  return validateEnvironment({ ...file, ...variables });
}
