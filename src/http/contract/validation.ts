import type { Type } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import { validate, type ValidationError } from 'class-validator';
import { partsOf } from './parts.js';
import { isPlainlyValid } from './plainly-valid.js';
import { sizeFault } from './size.js';
import { type Fault, notValid } from '../problems/problem.js';

const OPTIONS = {
  whitelist: true,
  forbidNonWhitelisted: true,
  forbidUnknownValues: false, // otherwise a class without rules would refuse everything
  validationError: { target: false, value: false },
};

/**
 * Converts a body or a query to an instance of its DTO class. Throws `validation_failed` with every
 * fault, unknown fields included. The value must come from JSON or a query and must have passed
 * RequestGuard. Nest's ValidationPipe would also search the whole value for things that JSON cannot
 * contain, which takes a second for a megabyte of empty lists. Returns a promise only if class-validator
 * itself has to check the value.
 */
export function validated<T extends object>(type: Type<T>, value: unknown): T | Promise<T> {
  if (partsOf(type)) return check(type, value ?? {}).then(faultless);
  const fault = sizeFault(value ?? {});
  if (fault) throw notValid([fault]);
  const instance = plainToInstance(type, value ?? {});
  return isPlainlyValid(type, instance) ? instance : checkInstance(instance, '').then(faultless);
}

interface Checked<T> {
  instance: T;
  faults: Fault[];
}

function faultless<T>({ instance, faults }: Checked<T>): T {
  if (faults.length > 0) throw notValid(faults);
  return instance;
}

/** Does the same as `validated`, but returns the faults instead of throwing. Their paths begin with `parent`. */
export async function check<T extends object>(
  type: Type<T>,
  value: object,
  parent = '',
): Promise<Checked<T>> {
  const parts = partsOf(type);
  if (!parts) return await checkFields(type, value, parent);
  const { instance, faults } = await checkFields(type, without(value, parts.keys()), parent);
  for (const [name, checkPart] of parts) {
    const given = (value as Record<string, unknown>)[name];
    const part = await checkPart(given, parent + name, check);
    faults.push(...part.faults);
    Object.assign(instance, { [name]: part.instance });
  }
  return { instance, faults };
}

async function checkFields<T extends object>(
  type: Type<T>,
  value: object,
  parent: string,
): Promise<Checked<T>> {
  const fault = sizeFault(value);
  if (fault) return { instance: new type(), faults: [{ ...fault, path: parent + fault.path }] };
  const instance = plainToInstance(type, value);
  return isPlainlyValid(type, instance)
    ? { instance, faults: [] }
    : await checkInstance(instance, parent);
}

async function checkInstance<T extends object>(instance: T, parent: string): Promise<Checked<T>> {
  const errors = await validate(instance, OPTIONS);
  return { instance, faults: errors.flatMap((error) => faultsOf(error, parent)) };
}

function faultsOf(error: ValidationError, parent: string): Fault[] {
  const path = parent + error.property;
  const own = Object.entries(error.constraints ?? {}).map(([rule, message]) => ({
    path,
    message: rule === 'whitelistValidation' ? 'there is no such field or parameter' : message,
  }));
  return own.concat((error.children ?? []).flatMap((child) => faultsOf(child, `${path}.`)));
}

function without(value: object, names: Iterable<string>): object {
  const left: Record<string, unknown> = { ...value };
  for (const name of names) delete left[name];
  return left;
}
