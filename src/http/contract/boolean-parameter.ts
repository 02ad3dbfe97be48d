import { applyDecorators } from '@nestjs/common';
import { ApiPropertyOptional } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsBoolean, IsOptional } from 'class-validator';
import { GIVEN_ONCE } from './parameter-validators.js';

/** A query parameter that is `true` or `false`. The default is false. */
export function BooleanParameter(description: string): PropertyDecorator {
  return applyDecorators(
    ApiPropertyOptional({ type: Boolean, default: false, description }),
    IsOptional(),
    Transform(({ value }) => ({ true: true, false: false })[String(value)] ?? (value as unknown)),
    IsBoolean({
      message: ({ value }) => (Array.isArray(value) ? GIVEN_ONCE : 'must be true or false'),
    }),
  );
}
