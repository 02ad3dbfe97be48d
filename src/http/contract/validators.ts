import { Transform, type TransformFnParams } from 'class-transformer';
import { ValidateBy } from 'class-validator';
import { isUuid } from '../../db/driver/text-format.js';
import { ifMatchOf } from '../answers/etag.js';

/**
 * Text, or a list of texts, in Unicode normalization form C. Without it the same name typed on two
 * systems is two names. Anything else is left to the validators.
 */
export function Normalized(): PropertyDecorator {
  return textTransform((text) => text.normalize('NFC'));
}

/** The same, without the white space around the text. */
export function Trimmed(): PropertyDecorator {
  return textTransform((text) => text.normalize('NFC').trim());
}

function textTransform(change: (text: string) => string): PropertyDecorator {
  const changed = (value: unknown): unknown => (typeof value === 'string' ? change(value) : value);
  return Transform(({ value }: { value: unknown }) =>
    Array.isArray(value) ? value.map(changed) : changed(value),
  );
}

/**
 * A string of `min` to `max` characters, counted in code points as PostgreSQL and JSON Schema do.
 * class-validator's own Length leaves variation selectors out, which varchar(n) does not.
 */
export function TextLength(min: number, max: number): PropertyDecorator {
  return ValidateBy({
    name: 'textLength',
    validator: {
      validate: (value: unknown) => isText(value, min, max),
      defaultMessage: () => `must be text of ${min} to ${max} characters`,
    },
  });
}

/** A UUID of any version, in lower case as the database answers it. */
export function Uuid(): PropertyDecorator {
  return parameter(
    (value) => (isUuid(value) ? value.toLowerCase() : value),
    isUuid,
    'must be a UUID',
  );
}

/** What an If-Match header may hold, or nothing. */
export function EntityTags(): PropertyDecorator {
  return ValidateBy({
    name: 'entityTags',
    validator: {
      validate: (value: unknown) =>
        value === undefined || (typeof value === 'string' && ifMatchOf(value) !== undefined),
      defaultMessage: () => 'must be * or a list of entity tags such as "7"',
    },
  });
}

interface ListLimits {
  maxItems: number;
  maxLength: number;
}

/**
 * A list of different strings, none of them empty. One validator that stops at the first fault:
 * class-validator's ArrayUnique compares each with each, seconds for a body of a megabyte.
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
  if (value.length > maxItems) return `must hold at most ${maxItems}`;
  if (!value.every((item) => isText(item, 1, maxLength))) {
    return `each of them must be text of 1 to ${maxLength} characters`;
  }
  if (value.some((item: string) => item !== item.trim())) {
    return 'must have no white space at their ends (a + is written %2B)';
  }
  return new Set(value).size < value.length ? 'must not name one twice' : undefined;
}

export function isText(text: unknown, min: number, max: number): boolean {
  if (typeof text !== 'string' || text.length < min || text.length > max * 2) return false;
  const length = text.length <= max && min <= 1 ? text.length : [...text].length;
  return length >= min && length <= max;
}

/** A parameter that is any text, given once. */
export function TextParameter(): PropertyDecorator {
  return parameter(
    (value) => value,
    (value) => typeof value === 'string',
    'must be text, given once',
  );
}

/** A parameter that is a whole number, of digits alone, given once. */
export function WholeNumberParameter(min: number, max: number): PropertyDecorator {
  return parameter(
    (value) => (typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value),
    (value) => typeof value === 'number' && value >= min && value <= max,
    `must be a whole number from ${min} to ${max}, given once`,
  );
}

/** A parameter that may be given several times, as a list in the order given. */
export function Repeatable(): PropertyDecorator {
  return Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' ? [value] : value,
  );
}

/** A parameter of names with commas between them, each one of `known` and none twice, as a list. */
export function NamesParameter(known: readonly string[]): PropertyDecorator {
  return parameter(
    (value) => typeof value === 'string' && value.split(','),
    (value) =>
      Array.isArray(value) &&
      new Set(value).size === value.length &&
      value.every((name) => known.includes(name as string)),
    `must be names with commas between them, each once, of: ${known.join(', ')}; given once`,
  );
}

/**
 * A moment: an RFC 3339 date-time, or a date, which is its midnight in UTC. A day that its month
 * does not have is refused; Date would take it for one of the next. What is finer than a millisecond
 * is rounded up: from it on and before it, of moments to the millisecond, are the same as given.
 */
export function MomentParameter(): PropertyDecorator {
  return parameter(
    // Not undefined, which would be no parameter at all.
    (value) => (typeof value === 'string' && parseMoment(value)) ?? false,
    (value) => value instanceof Date,
    'must be a date such as 2026-01-31 or a date-time such as 2026-01-31T12:00:00Z (a + is written %2B), given once',
  );
}

/** A date-time of a body (RFC 3339), in UTC and to the millisecond as the database answers it. */
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

/** A whole number of a body. */
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

/** Whether the year in UTC is one that has four digits and that PostgreSQL knows. */
export function isKnownYear(time: number): boolean {
  return time >= Date.parse('0001-01-01') && time <= LAST_MOMENT;
}

/** The moment of an RFC 3339 date or date-time; what is finer than a millisecond is rounded up. */
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

/** The objects that parameters became, so that a value may be transformed again. */
const made = new WeakSet<object>();

/** Makes a value of the text, then checks it. A value that was made here is taken as it is. */
function parameter(
  make: (value: unknown) => unknown,
  check: (value: unknown) => boolean,
  message: string,
): PropertyDecorator {
  const toValue = Transform(({ value, obj, key }: TransformFnParams) => {
    const given = (obj as Record<string, unknown>)[key]; // `value` is a copy of it
    if (isObject(given) && made.has(given)) return given;
    const result = make(value);
    if (isObject(result)) made.add(result);
    return result;
  });
  const checkValue = ValidateBy({
    name: 'parameter',
    validator: { validate: check, defaultMessage: () => message },
  });
  return (target, key) => {
    toValue(target, key);
    checkValue(target, key);
  };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
