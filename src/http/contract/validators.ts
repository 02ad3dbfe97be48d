import { Transform, type TransformFnParams } from 'class-transformer';
import { IsIn, ValidateBy } from 'class-validator';
import { isUuid } from '../../db/driver/text-format.js';
import { hasTooManyMarks, MAX_MARKS, nfc } from '../../db/entity/normalize-texts.js';
import { ifMatchOf } from '../answers/etag.js';

/**
 * Normalizes a text, or a list of texts, to Unicode NFC. Without this the same name typed on two
 * systems would be two names. Other values stay unchanged; the validators refuse them.
 */
export function Normalized(): PropertyDecorator {
  return textTransform(nfc);
}

/** Normalizes to Unicode NFC and removes white space at the ends of the text. */
export function Trimmed(): PropertyDecorator {
  return textTransform((text) => nfc(text).trim());
}

function textTransform(change: (text: string) => string): PropertyDecorator {
  const changed = (value: unknown): unknown => (typeof value === 'string' ? change(value) : value);
  return Transform(({ value }: { value: unknown }) =>
    Array.isArray(value) ? value.map(changed) : changed(value),
  );
}

/**
 * A string of `min` to `max` characters, counted in code points as PostgreSQL and JSON Schema do.
 * class-validator's Length does not count variation selectors, but varchar(n) does.
 */
export function TextLength(min: number, max: number): PropertyDecorator {
  return ValidateBy({
    name: 'textLength',
    validator: {
      validate: (value: unknown) => isText(value, min, max),
      defaultMessage: (args) =>
        marksFault(args?.value) ?? `must be text of ${min} to ${max} characters`,
    },
  });
}

/** A UUID of any version, converted to lower case as the database returns it. */
export function Uuid(): PropertyDecorator {
  return parameter(
    (value) => (isUuid(value) ? value.toLowerCase() : value),
    isUuid,
    'must be a UUID',
  );
}

/** An optional field with the syntax of an If-Match header. */
export function EntityTags(): PropertyDecorator {
  return ValidateBy({
    name: 'entityTags',
    validator: {
      validate: (value: unknown) =>
        value === undefined || (typeof value === 'string' && ifMatchOf(value) !== undefined),
      defaultMessage: () => 'must be * or a list of ETags such as "7"',
    },
  });
}

interface ListLimits {
  maxItems: number;
  maxLength: number;
}

/**
 * A list of distinct, non-empty strings. It is one validator that stops at the first fault, because
 * class-validator's ArrayUnique compares every pair and takes seconds for a body of a megabyte.
 */
export function DistinctTexts(limits: ListLimits): PropertyDecorator {
  return ValidateBy({
    name: 'distinctTexts',
    validator: {
      validate: (value: unknown) => listFault(value, limits) === undefined,
      defaultMessage: (args) => listFault(args?.value, limits)!,
    },
  });
}

function listFault(value: unknown, { maxItems, maxLength }: ListLimits): string | undefined {
  if (!Array.isArray(value)) return 'must be a list';
  if (value.length > maxItems) return `must have at most ${maxItems}`;
  const wrong = value.findIndex((item) => !isText(item, 1, maxLength));
  if (wrong >= 0) {
    return marksFault(value[wrong]) ?? `each of them must be text of 1 to ${maxLength} characters`;
  }
  if (value.some((item: string) => item !== item.trim())) {
    return 'each of them must have no white space at its ends (in a query, write + as %2B)';
  }
  return new Set(value).size < value.length ? 'must not contain duplicates' : undefined;
}

export function isText(text: unknown, min: number, max: number): boolean {
  if (typeof text !== 'string' || text.length < min || text.length > max * 2) return false;
  const length = text.length <= max && min <= 1 ? text.length : [...text].length;
  return length >= min && length <= max && !hasTooManyMarks(text);
}

function marksFault(value: unknown): string | undefined {
  return typeof value === 'string' && hasTooManyMarks(value)
    ? `must not contain more than ${MAX_MARKS} combining marks in a row`
    : undefined;
}

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

/** A field of a body that is an RFC 3339 date-time, converted to UTC with milliseconds as the database returns it. */
export function Moment(): PropertyDecorator {
  return parameter(
    (value) => {
      if (value === undefined || value === null) return value;
      const moment = typeof value === 'string' && value.length > 10 && momentOf(value);
      return moment instanceof Date && moment.toISOString();
    },
    (value) => typeof value === 'string',
    'must be a date-time such as 2026-01-31T12:00:00Z',
  );
}

/** A field of a body that is a whole number. */
export function WholeNumber(min: number, max: number): PropertyDecorator {
  return ValidateBy({
    name: 'wholeNumber',
    validator: {
      validate: (value: unknown) =>
        typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max,
      defaultMessage: () => `must be a whole number from ${min} to ${max}`,
    },
  });
}

const MOMENT =
  /^(\d{4})-(\d{2})-(\d{2})(?:T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d))?$/;

const LAST_MOMENT = Date.parse('9999-12-31T23:59:59.999Z');

/** True if the year in UTC is between 0001 and 9999, which PostgreSQL stores and RFC 3339 can express. */
export function isKnownYear(time: number): boolean {
  return time >= Date.parse('0001-01-01') && time <= LAST_MOMENT;
}

/** Parses an RFC 3339 date or date-time; fractions finer than a millisecond are rounded up. */
export function parseMoment(text: string): Date | undefined {
  const moment = momentOf(text);
  const isFiner = /\.\d{3}\d*[1-9]/.test(text);
  return moment && isFiner ? new Date(Math.min(moment.getTime() + 1, LAST_MOMENT)) : moment;
}

function momentOf(text: string): Date | undefined {
  const [, year, month, day] = MOMENT.exec(text)?.map(Number) ?? [];
  if (
    !year ||
    !month ||
    !day ||
    month > 12 ||
    day > new Date(Date.UTC(year, month, 0)).getUTCDate()
  )
    return undefined;
  const moment = new Date(text);
  return isKnownYear(moment.getTime()) ? moment : undefined;
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
