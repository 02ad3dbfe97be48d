import { Transform } from 'class-transformer';
import { ValidateBy } from 'class-validator';
import { isCalendarDate, momentOf } from './moments.js';
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

/** Completes "must be …". */
export const DATE_RULE = 'a date such as 2026-01-31';

/** A date of the calendar, as the database returns it. */
export function CalendarDate(): PropertyDecorator {
  return ValidateBy({
    name: 'calendarDate',
    validator: { validate: isCalendarDate, defaultMessage: () => `must be ${DATE_RULE}` },
  });
}

/** A UUID of any version, converted to lower case as the database returns it. */
export function Uuid(): PropertyDecorator {
  return converted(
    (value) => (isUuid(value) ? value.toLowerCase() : value),
    isUuid,
    'must be a UUID',
  );
}

/** An RFC 3339 date-time, converted to UTC with milliseconds as the database returns it. */
export function Moment(): PropertyDecorator {
  return converted(
    (value) => {
      if (value === undefined || value === null) return value;
      const moment = typeof value === 'string' && value.length > 10 && momentOf(value);
      return moment instanceof Date && moment.toISOString();
    },
    (value) => typeof value === 'string',
    'must be a date-time such as 2026-01-31T12:00:00Z',
  );
}

/** Converts a value, then checks the result. A second conversion must not change it. */
function converted(
  convert: (value: unknown) => unknown,
  validate: (value: unknown) => boolean,
  message: string,
): PropertyDecorator {
  const check = { name: 'converted', validator: { validate, defaultMessage: () => message } };
  return (target, key) => {
    Transform(({ value }: { value: unknown }) => convert(value))(target, key);
    ValidateBy(check)(target, key);
  };
}
