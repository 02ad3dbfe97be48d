import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import type { Request } from 'express';
import { DEFAULT_LIMIT } from '../../db/entity/keyset-list.js';
import { forwardedPrefixOf, targetOf } from './public-path.js';

@ApiSchema({ name: 'PageMeta', description: 'Paging information of a list.' })
export class PageMetaDto {
  @ApiProperty({
    type: 'integer',
    example: DEFAULT_LIMIT,
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

  @ApiProperty({ example: false, description: 'True if there is a next page.' })
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
