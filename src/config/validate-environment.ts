import { plainToInstance } from 'class-transformer';
import { validateSync } from 'class-validator';
import { contradictions } from './contradictions.js';
import { Environment } from './environment.js';

/** Thrown with all faults of the environment, one line each. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  /** EX_CONFIG of sysexits.h. */
  readonly exitCode = 78;

  constructor(readonly faults: string[]) {
    super(`The configuration is not valid:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
  }
}

/** Validates the variables. An empty variable counts as unset and gets its default. Throws ConfigurationError. */
export function validateEnvironment(variables: Record<string, unknown>): Environment {
  const names = Object.keys(new Environment());
  const given = Object.fromEntries(
    names
      .map((name) => [name, variables[name]])
      .filter(([, value]) => value !== undefined && value !== ''),
  ) as Record<string, unknown>;
  if (given.NODE_ENV === 'production') given.MIGRATIONS ??= 'verify';
  const environment = plainToInstance(Environment, given, { exposeDefaultValues: true });
  const faults = validateSync(environment).map(
    ({ property, constraints }) => `${property} ${Object.values(constraints ?? {})[0]}`,
  );
  faults.push(...contradictions(given, environment));
  if (faults.length > 0) throw new ConfigurationError(faults);
  return environment;
}
