import { applyDecorators } from '@nestjs/common';
import { ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional } from 'class-validator';
import { DEFAULT_LIMIT } from '../../db/entity/keyset-list.js';
import { MAX_CURSOR_LENGTH } from '../answers/cursor.js';
import { TextParameter, WholeNumberParameter } from './parameter-validators.js';

/** The maximum number of rows in one page of any list. */
export const MAX_LIMIT = 200;

/** The query parameter `limit` of a list. The property's initial value is its default. */
export function PageLimit(description: string): PropertyDecorator {
  return applyDecorators(
    ApiPropertyOptional({
      type: 'integer',
      minimum: 1,
      maximum: MAX_LIMIT,
      default: DEFAULT_LIMIT,
      description,
    }),
    IsOptional(),
    WholeNumberParameter(1, MAX_LIMIT),
  );
}

/** The query parameter `after` of a list: a cursor. `decodeCursor` checks it. */
export function PageCursor(description: string): PropertyDecorator {
  return applyDecorators(
    ApiPropertyOptional({ type: String, maxLength: MAX_CURSOR_LENGTH, description }),
    IsOptional(),
    TextParameter(),
  );
}
