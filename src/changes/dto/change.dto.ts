import { DEFAULT_LIMIT } from '../../db/entity/keyset-list.js';
import type { Type } from '@nestjs/common';
import { ApiProperty, ApiSchema, getSchemaPath } from '@nestjs/swagger';
import { CHANGE_ACTIONS } from '../../db/schema.js';
import { PageMetaDto } from '../../http/answers/page.js';
import { PageCursor, PageLimit } from '../../http/contract/page-parameters.js';
import { documentedNamesOf, idFieldOf, type TrackedEntity } from '../tracked-entity.js';

/** The value of `after` that starts at the end of the feed. */
export const NOW = 'now';

export class ListChangesQuery {
  @PageLimit('The maximum number of changes in a page. A page of large changes has fewer.')
  limit: number = DEFAULT_LIMIT;

  @PageCursor(
    'The `meta.nextCursor` of the previous page, or the `cursor` of a change: the page contains the changes after it. `now` starts at the end of the feed, with future changes. Without `after` the page starts with the oldest stored change.',
  )
  after?: string;
}

export class ListHistoryQuery {
  @PageLimit('The maximum number of versions in a page. A page of large versions has fewer.')
  limit: number = DEFAULT_LIMIT;

  @PageCursor('The `meta.nextCursor` of the previous page.')
  after?: string;
}

/** One change of one row and its author. `changeDtosOf` adds the types of an entity. */
class RecordedChangeDto {
  @ApiProperty({
    type: 'integer',
    minimum: 1,
    example: 2,
    description: 'The version that the change made. A deletion counts as one.',
  })
  version!: number;

  @ApiProperty({ enum: CHANGE_ACTIONS, enumName: 'ChangeAction', example: 'updated' })
  action!: (typeof CHANGE_ACTIONS)[number];

  @ApiProperty()
  before!: object | null;

  @ApiProperty()
  after!: object | null;

  @ApiProperty({
    example: 'ada',
    description: 'The caller that made the change. Empty if it is unknown, as in a psql session.',
  })
  actor!: string;

  @ApiProperty({
    example: '0b6f3c9e-6d0f-4c8e-8f0c-3a1d5b7e9f21',
    description:
      'The `X-Request-Id` of the request that made the change. Empty if it was not made by a request.',
  })
  requestId!: string;

  @ApiProperty({
    format: 'date-time',
    example: '2026-01-31T12:00:00.000Z',
    description: 'The time when the transaction of the change began, in UTC with milliseconds.',
  })
  at!: string;
}

export class HistoryEntryDto extends RecordedChangeDto {
  @ApiProperty({
    type: [String],
    example: ['description'],
    description:
      'The fields that an update changed, except `version` and `updatedAt`, which every update changes. Empty for a creation and a deletion.',
  })
  changed!: string[];
}

/** It also has the id of the changed row, in a field that `idFieldOf` names. */
export class ChangeDto extends RecordedChangeDto {
  @ApiProperty({
    example: 'WzQyLDU3XQ.2NuTjZDh0HGfWX8Tn0lzdA',
    description:
      'The position after this change, for `after`, or for `Last-Event-ID` when a stream is resumed.',
  })
  cursor!: string;
}

@ApiSchema({ name: 'FeedMeta', description: 'Paging information of the feed.' })
export class FeedMetaDto extends PageMetaDto {
  @ApiProperty({
    type: String,
    nullable: false, // overrides the nullable one of PageMetaDto
    example: 'WzQyLDU3XQ.2NuTjZDh0HGfWX8Tn0lzdA',
    description: 'The value of `after` to continue from here, now or later.',
  })
  override nextCursor!: string;

  @ApiProperty({ example: false, description: 'True if there are more changes already.' })
  override hasMore!: boolean;
}

/** The classes that document the changes of one entity. */
export function changeDtosOf(entity: TrackedEntity<never>) {
  const { changeSchema, historyEntrySchema } = documentedNamesOf(entity);
  class Change extends ChangeDto {}
  document(Change, changeSchema, entity);
  ApiProperty({ type: String, format: 'uuid', example: entity.exampleId })(
    Change.prototype,
    idFieldOf(entity.name),
  );
  class HistoryEntry extends HistoryEntryDto {}
  document(HistoryEntry, historyEntrySchema, entity);
  return { change: Change, historyEntry: HistoryEntry };
}

function document(type: Type, schema: string, { name, dto }: TrackedEntity<never>): void {
  Object.defineProperty(type, 'name', { value: schema }); // the envelopes are named after it
  ApiSchema({ name: schema, description: `A change of one ${name}, with its author.` })(type);
  const row = [{ $ref: getSchemaPath(dto) }, { type: 'object', nullable: true, enum: [null] }];
  const document = {
    before: 'before; null when it was created',
    after: 'after; null when it was deleted',
  };
  for (const [field, when] of Object.entries(document))
    ApiProperty({ description: `The ${name} ${when}.`, anyOf: row })(
      type.prototype as object,
      field,
    );
}
