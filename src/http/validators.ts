import { Transform } from 'class-transformer';
import { ValidateBy, type ValidationOptions } from 'class-validator';

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
export function TextLength(
  min: number,
  max: number,
  options?: ValidationOptions,
): PropertyDecorator {
  const each = options?.each ? 'each of them ' : '';
  return ValidateBy(
    {
      name: 'textLength',
      validator: {
        validate: (value: unknown) => typeof value === 'string' && isBetween(value, min, max),
        defaultMessage: () => `${each}must be text of ${min} to ${max} characters`,
      },
    },
    options,
  );
}

function isBetween(text: string, min: number, max: number): boolean {
  if (text.length < min || text.length > max * 2) return false;
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
