import type { Type } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { validate, type ValidationError } from 'class-validator';
import { isPlainlyValid } from './plainly-valid.js';
import { type Fault, notValid } from './problem.js';

const OPTIONS = {
  whitelist: true,
  forbidNonWhitelisted: true,
  forbidUnknownValues: false, // or a class without a rule would refuse everything
  validationError: { target: false, value: false },
};

/**
 * A body or a query as an instance of its DTO class. Throws `validation_failed` with every fault,
 * fields that the class does not name among them. For JSON and queries only, once RequestGuard has
 * seen them: Nest's ValidationPipe also walks the whole value for what those cannot hold, a second
 * for a megabyte of empty lists. A promise only where class-validator had to be asked.
 */
export function validated<T extends object>(type: Type<T>, value: unknown): T | Promise<T> {
  const instance = plainToInstance(type, value ?? {});
  return isPlainlyValid(type, instance) ? instance : checked(instance);
}

async function checked<T extends object>(instance: T): Promise<T> {
  const errors = await validate(instance, OPTIONS);
  if (errors.length > 0) throw notValid(errors.flatMap((error) => faultsOf(error)));
  return instance;
}

function faultsOf(error: ValidationError, parent = ''): Fault[] {
  const path = parent + error.property;
  const own = Object.entries(error.constraints ?? {}).map(([rule, message]) => ({
    path,
    message: rule === 'whitelistValidation' ? 'there is no such field or parameter' : message,
  }));
  return own.concat((error.children ?? []).flatMap((child) => faultsOf(child, `${path}.`)));
}
