import { Transform } from 'class-transformer';
import { ValidateBy } from 'class-validator';

/** Strings, or a list of them, without the white space around them; anything else is left to the validators. */
export function Trimmed(): PropertyDecorator {
  const trim = (value: unknown): unknown => (typeof value === 'string' ? value.trim() : value);
  return Transform(({ value }: { value: unknown }) =>
    Array.isArray(value) ? value.map(trim) : trim(value),
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
  return new Set(value).size < value.length ? 'must not name one twice' : undefined;
}

function isText(text: unknown, min: number, max: number): boolean {
  if (typeof text !== 'string' || text.length < min || text.length > max * 2) return false;
  const length = text.length <= max && min <= 1 ? text.length : [...text].length;
  return length >= min && length <= max;
}

/** A parameter that is a whole number, of digits alone, given once. */
export function WholeNumberParameter(min: number, max: number): PropertyDecorator {
  const toNumber = Transform(({ value }: { value: unknown }) =>
    typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value,
  );
  const check = ValidateBy({
    name: 'wholeNumber',
    validator: {
      validate: (value: unknown) => typeof value === 'number' && value >= min && value <= max,
      defaultMessage: () => `must be a whole number from ${min} to ${max}, given once`,
    },
  });
  return (target, key) => {
    toNumber(target, key);
    check(target, key);
  };
}
