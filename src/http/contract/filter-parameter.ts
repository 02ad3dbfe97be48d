import { applyDecorators } from '@nestjs/common';
import { ApiPropertyOptional, type ApiPropertyOptions } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsOptional, ValidateBy } from 'class-validator';
import { isUuid } from '../../db/driver/text-format.js';
import type { Filter, FilterDomain } from '../../db/entity/filters.js';
import { nfc } from '../../db/entity/normalize-texts.js';
import { DATE_RULE, isText } from './field-validators.js';
import { isCalendarDate, parseMoment } from './moments.js';
import { GIVEN_ONCE } from './parameter-validators.js';

/** The maximum number of values of a repeatable filter. */
const MAX_VALUES = 20;

/** A query parameter for a filter. The filter's domain validates and documents it. */
export function FilterParameter(filter: Omit<Filter, 'where'>): PropertyDecorator {
  const { domain, repeatable, description } = filter;
  const { schema, rule, parse } = kindOf(domain);
  const many = { type: 'array', items: schema, maxItems: MAX_VALUES, uniqueItems: true };
  // A value that cannot be parsed stays unchanged, so that the validator refuses it.
  const read = (value: unknown) => parse(value) ?? value;
  const faultOf = (value: unknown) => {
    if (repeatable) return faultOfValues(value, { rule, parse });
    if (parse(value) !== undefined) return undefined;
    return Array.isArray(value) ? GIVEN_ONCE : `must be ${rule}`;
  };
  return applyDecorators(
    ApiPropertyOptional({ ...(repeatable ? many : schema), description } as ApiPropertyOptions),
    IsOptional(),
    Transform(({ value }: { value: unknown }) =>
      repeatable && value !== undefined ? [value].flat().map(read) : read(value),
    ),
    ValidateBy({
      name: 'filter',
      validator: {
        validate: (value) => faultOf(value) === undefined,
        defaultMessage: (args) => faultOf(args?.value)!,
      },
    }),
  );
}

function faultOfValues(
  values: unknown,
  { rule, parse }: Pick<Kind, 'rule' | 'parse'>,
): string | undefined {
  if (!Array.isArray(values) || values.some((value) => parse(value) === undefined))
    return `each must be ${rule}`;
  if (values.length > MAX_VALUES) return `must be at most ${MAX_VALUES} values`;
  return new Set(values).size < values.length ? 'must not contain duplicates' : undefined;
}

interface Kind {
  /** The schema for the OpenAPI document. */
  schema: Record<string, unknown>;
  /** Completes "must be …". */
  rule: string;
  /** Parses a text; a value that was parsed already is returned unchanged, any other gives undefined. */
  parse: (value: unknown) => unknown;
}

function kindOf(domain: FilterDomain): Kind {
  switch (domain.kind) {
    case 'text':
      return textKind(domain.maxLength);
    case 'integer':
      return integerKind(domain);
    case 'enum':
      return {
        schema: { type: 'string', enum: [...domain.values] },
        rule: `one of: ${domain.values.join(', ')}`,
        parse: (value) => (domain.values.includes(value as string) ? value : undefined),
      };
    case 'uuid':
      return {
        schema: { type: 'string', format: 'uuid' },
        rule: 'a UUID',
        parse: (value) => (isUuid(value) ? value.toLowerCase() : undefined),
      };
    case 'date':
      return {
        schema: { type: 'string', format: 'date' },
        rule: DATE_RULE,
        parse: (value) => (isCalendarDate(value) ? value : undefined),
      };
    case 'moment':
      return {
        schema: { type: 'string', example: '2026-01-31' },
        rule: 'a date such as 2026-01-31 or a date-time such as 2026-01-31T12:00:00Z (a + is written %2B)',
        parse: (value) => (typeof value === 'string' ? parseMoment(value) : asDate(value)),
      };
    default:
      return domain satisfies never;
  }
}

function textKind(maxLength: number): Kind {
  return {
    schema: { type: 'string', minLength: 1, maxLength },
    rule: `text of 1 to ${maxLength} characters`,
    parse: (value) => (isText(value, 1, maxLength) ? nfc(value as string) : undefined),
  };
}

function integerKind({ min, max }: { min: number; max: number }): Kind {
  return {
    schema: { type: 'integer', minimum: min, maximum: max },
    rule: `a whole number from ${min} to ${max}`,
    parse: (value) => {
      const isDigits = typeof value === 'string' && /^-?\d{1,15}$/.test(value);
      const number = isDigits ? Number(value) : value;
      return typeof number === 'number' && number >= min && number <= max ? number : undefined;
    },
  };
}

function asDate(value: unknown): Date | undefined {
  return value instanceof Date ? value : undefined;
}
