import { applyDecorators } from '@nestjs/common';
import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { IsOptional } from 'class-validator';
import type { Request } from 'express';
import { MAX_CURSOR_LENGTH } from './cursor.js';
import { forwardedPrefixOf, targetOf } from './public-path.js';
import { TextParameter, WholeNumberParameter } from '../contract/validators.js';

/** The maximum number of rows in one page of any list. */
export const MAX_LIMIT = 200;

/** The query parameter `limit` of a list. The property's initial value is its default. */
export function PageLimit(description: string): PropertyDecorator {
  return applyDecorators(
    ApiPropertyOptional({
      type: 'integer',
      minimum: 1,
      maximum: MAX_LIMIT,
      default: 50,
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

@ApiSchema({ name: 'PageMeta', description: 'Paging information of a list.' })
export class PageMetaDto {
  @ApiProperty({
    type: 'integer',
    example: 50,
    description: 'The limit that was applied. A page of large entries may have fewer.',
  })
  limit!: number;

  @ApiProperty({
    type: String,
    nullable: true,
    example: null,
    description: 'The value of `after` for the next page; null on the last page.',
  })
  nextCursor!: string | null;

  @ApiProperty({ example: false, description: 'Whether there is a next page.' })
  hasMore!: boolean;
}

/** Matches a URL whose characters need no encoding, neither in a query nor in a header. */
const PLAIN_URL = /^[\w/.~?&=,:-]+$/;

/** Builds the Link header for the next page (RFC 8288): the request's path and query with the new cursor. */
export function nextLink(req: Request, cursor: string): string {
  const target = forwardedPrefixOf(req) + targetOf(req);
  if (!target.includes('after') && PLAIN_URL.test(target))
    return `<${target}${target.includes('?') ? '&' : '?'}after=${cursor}>; rel="next"`;
  const url = new URL(`http://service${target}`);
  url.searchParams.set('after', cursor);
  return `<${url.pathname}${url.search}>; rel="next"`;
}
