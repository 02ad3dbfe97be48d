import { applyDecorators } from '@nestjs/common';
import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { IsOptional } from 'class-validator';
import type { Request } from 'express';
import { MAX_CURSOR_LENGTH } from './cursor.js';
import { forwardedPrefixOf, targetOf } from './public-path.js';
import { TextParameter, WholeNumberParameter } from '../contract/validators.js';

/** The most rows that one page of any list holds. */
export const MAX_LIMIT = 200;

/** The parameter `limit` of a list; its default is the property's own. */
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

/** The parameter `after` of a list: a cursor, which only `decodeCursor` knows a good one from a bad. */
export function PageCursor(description: string): PropertyDecorator {
  return applyDecorators(
    ApiPropertyOptional({ type: String, maxLength: MAX_CURSOR_LENGTH, description }),
    IsOptional(),
    TextParameter(),
  );
}

/** What a list says about itself. */
@ApiSchema({ name: 'PageMeta', description: 'What a list says about itself.' })
export class PageMetaDto {
  @ApiProperty({
    type: 'integer',
    example: 50,
    description: 'The limit that was applied. A page of large entries ends before it.',
  })
  limit!: number;

  @ApiProperty({
    type: String,
    nullable: true,
    example: null,
    description: 'What `after` takes for the next page; null on the last.',
  })
  nextCursor!: string | null;

  @ApiProperty({ example: false, description: 'Whether there is a next page.' })
  hasMore!: boolean;
}

/** A URL of characters that stand for themselves, in a header too. */
const PLAIN_URL = /^[\w/.~?&=,:-]+$/;

/** The Link header's value for the next page (RFC 8288): the path and the query of the request, with another cursor. */
export function nextLink(req: Request, cursor: string): string {
  const target = forwardedPrefixOf(req) + targetOf(req);
  if (!target.includes('after') && PLAIN_URL.test(target))
    return `<${target}${target.includes('?') ? '&' : '?'}after=${cursor}>; rel="next"`;
  const url = new URL(`http://service${target}`);
  url.searchParams.set('after', cursor);
  return `<${url.pathname}${url.search}>; rel="next"`;
}
