import { Transform, type TransformFnParams } from 'class-transformer';
import { IsIn, ValidateBy } from 'class-validator';
import { parseMoment } from './moments.js';

/** The fault of a parameter with several values that takes one. */
export const GIVEN_ONCE = 'must be given only once';

/** A query parameter with one of the given values; `names` are what the message calls them. */
export function OneOf(values: readonly unknown[], names = values): PropertyDecorator {
  const message = `must be one of: ${names.join(', ')}`;
  return IsIn(values, {
    message: ({ value }) => (Array.isArray(value) ? GIVEN_ONCE : message),
  });
}

/** A query parameter that may be any text and is given once. */
export function TextParameter(): PropertyDecorator {
  return parameter(
    (value) => value,
    (value) => typeof value === 'string',
    GIVEN_ONCE,
  );
}

/** A query parameter that is a whole number, written with digits only, and is given once. */
export function WholeNumberParameter(min: number, max: number): PropertyDecorator {
  return parameter(
    (value) => (typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value),
    (value) => typeof value === 'number' && value >= min && value <= max,
    `must be a whole number from ${min} to ${max}`,
  );
}

/** Converts a query parameter that may be given several times to a list. */
export function Repeatable(): PropertyDecorator {
  return Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' ? [value] : value,
  );
}

/** A query parameter with comma-separated names, all of them from `known` and without duplicates. Its value is a list. */
export function NamesParameter(known: readonly string[]): PropertyDecorator {
  return parameter(
    (value) => (typeof value === 'string' ? value.split(',') : { given: value }),
    (value) => namesFault(value, known) === undefined,
    (value) => namesFault(value, known)!,
  );
}

function namesFault(value: unknown, known: readonly string[]): string | undefined {
  if (!Array.isArray(value)) return GIVEN_ONCE;
  if (!value.every((name) => known.includes(name as string)))
    return `must be names from: ${known.join(', ')}; separated by commas, without spaces`;
  return new Set(value).size < value.length ? 'must not contain duplicates' : undefined;
}

/**
 * A query parameter that is an RFC 3339 date-time, or a date, which means its midnight in UTC. A day
 * that the month does not have is refused; Date would move it to the next month. Fractions finer than
 * a millisecond are rounded up: for stored timestamps, which have milliseconds, `>=` and `<` then give
 * the same result as with the exact value.
 */
export function MomentParameter(): PropertyDecorator {
  return parameter(
    // Undefined would mean that the parameter is absent.
    (value) => (typeof value === 'string' ? (parseMoment(value) ?? false) : (value ?? false)),
    (value) => value instanceof Date,
    'must be a date such as 2026-01-31 or a date-time such as 2026-01-31T12:00:00Z (a + is written %2B)',
  );
}

/** The objects that `parameter` has created, so that a second transformation leaves them unchanged. */
const made = new WeakSet<object>();

/** Converts the text to a value, then checks it. A value that was created here is not converted again. */
function parameter(
  make: (value: unknown) => unknown,
  check: (value: unknown) => boolean,
  message: string | ((value: unknown) => string),
): PropertyDecorator {
  const messageFor = (value: unknown) => {
    if (typeof message === 'function') return message(value);
    return Array.isArray(value) ? GIVEN_ONCE : message;
  };
  const toValue = Transform(({ value, obj, key }: TransformFnParams) => {
    const given = (obj as Record<string, unknown>)[key]; // `value` is a copy of it
    if (isObject(given) && made.has(given)) return given;
    const result = make(value);
    if (isObject(result)) made.add(result);
    return result;
  });
  const checkValue = ValidateBy({
    name: 'parameter',
    validator: { validate: check, defaultMessage: (args) => messageFor(args?.value) },
  });
  return (target, key) => {
    toValue(target, key);
    checkValue(target, key);
  };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
