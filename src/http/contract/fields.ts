import { applyDecorators } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { IsIn } from 'class-validator';
import { TextLength, Trimmed, WholeNumber } from './validators.js';

/** A character that is not white space, as JSON Schema says it. */
export const NOT_BLANK = '\\S';

type Words = Pick<ApiPropertyOptions, 'description' | 'example'>;

/** A text of `min` to `max` characters without white space around it. */
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

/** One of a few names. */
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
