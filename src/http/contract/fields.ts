import { applyDecorators } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { IsIn, ValidateIf } from 'class-validator';
import {
  CalendarDate,
  DistinctTexts,
  Moment,
  TextLength,
  Trimmed,
  Uuid,
  WholeNumber,
} from './field-validators.js';

/** A JSON Schema pattern: at least one character is not white space. */
export const NOT_BLANK = '\\S';

type Words = Pick<ApiPropertyOptions, 'description' | 'example'>;

/** A text of `min` to `max` characters; white space at its ends is removed. */
export function TextField({ min, max, ...words }: { min: number; max: number } & Words) {
  return applyDecorators(
    ApiProperty({
      type: String,
      minLength: min,
      maxLength: max,
      ...(min > 0 && { pattern: NOT_BLANK }),
      ...words,
    }),
    Trimmed(),
    TextLength(min, max),
  );
}

/** A list of up to `maxItems` distinct texts, such as tags; white space at the ends of each is removed. */
export function TextListField({
  maxItems,
  maxLength,
  ...words
}: { maxItems: number; maxLength: number } & Words) {
  return applyDecorators(
    ApiProperty({
      type: [String],
      maxItems,
      uniqueItems: true,
      items: { type: 'string', minLength: 1, maxLength, pattern: NOT_BLANK },
      ...words,
    }),
    Trimmed(),
    DistinctTexts({ maxItems, maxLength }),
  );
}

/** A text that must be one of the given values. */
export function EnumField(values: readonly string[], words: Words = {}) {
  return applyDecorators(
    ApiProperty({ type: String, enum: [...values], ...words }),
    IsIn(values, { message: `must be one of: ${values.join(', ')}` }),
  );
}

/** A whole number from `min` to `max`. */
export function IntegerField({ min, max, ...words }: { min: number; max: number } & Words) {
  return applyDecorators(
    ApiProperty({
      type: 'integer',
      minimum: min,
      maximum: max,
      ...words,
    }),
    WholeNumber(min, max),
  );
}

/** True or false. */
export function BooleanField(words: Words = {}) {
  return applyDecorators(
    ApiProperty({ type: Boolean, ...words }),
    IsIn([true, false], { message: 'must be true or false' }),
  );
}

/** A date-time (RFC 3339), which is answered in UTC with milliseconds; for a column of the type `moment`. */
export function MomentField(words: Words = {}) {
  return applyDecorators(
    ApiProperty({
      type: String,
      format: 'date-time',
      example: '2026-01-31T12:00:00.000Z',
      ...words,
    }),
    Moment(),
  );
}

/** A date without a time, such as `2026-01-31`. */
export function DateField(words: Words = {}) {
  return applyDecorators(
    ApiProperty({ type: String, format: 'date', example: '2026-01-31', ...words }),
    CalendarDate(),
  );
}

/** A UUID, such as the id of another entity. */
export function UuidField(words: Words = {}) {
  return applyDecorators(ApiProperty({ type: String, format: 'uuid', ...words }), Uuid());
}

/** The field may also be null. Write it above the decorator for the type of the field. */
export function Nullable() {
  return applyDecorators(
    ApiProperty({ nullable: true }),
    ValidateIf((_object, value) => value !== null),
  );
}
