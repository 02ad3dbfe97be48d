import { existsSync, readFileSync } from 'node:fs';
import { parse } from 'dotenv';
import { type Environment, validateEnvironment } from './environment.js';

/**
 * What `readEnvironment` gives, for the commands, which do not load Nest: @nestjs/config reads `.env` by this parser too.
 * Throws ConfigurationError.
 */
export function readCommandEnvironment(variables = process.env): Environment {
  const file = existsSync('.env') ? parse(readFileSync('.env')) : {};
  return validateEnvironment({ ...file, ...variables });
}
