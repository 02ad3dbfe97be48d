import { existsSync, readFileSync } from 'node:fs';
import { parse } from 'dotenv';
import type { Environment } from './environment.js';
import { ConfigurationError, validateEnvironment } from './validate-environment.js';

/**
 * Returns the same as `readEnvironment`, but without loading Nest, for the commands. @nestjs/config parses `.env` with
 * the same library. Throws ConfigurationError.
 */
export function readCommandEnvironment(variables = process.env): Environment {
  return validateEnvironment({ ...parse(environmentFile()), ...variables });
}

/** Returns the text of `.env`, empty if there is no such file. Throws ConfigurationError if it cannot be read. */
export function environmentFile(): string {
  try {
    return existsSync('.env') ? readFileSync('.env', 'utf8') : '';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigurationError([`the file .env cannot be read (${code})`]);
  }
}
