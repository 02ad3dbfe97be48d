import { ApiProperty, ApiSchema, getSchemaPath } from '@nestjs/swagger';
import { CHANGE_ACTIONS } from '../../db/schema.js';
import { PageCursor, PageLimit, PageMetaDto } from '../../http/answers/page.js';
import { EXAMPLE_ID, ProjectDto } from '../../projects/dto/project.dto.js';

/** The value of `after` that begins at the end. */
export const NOW = 'now';

export class ListChangesQuery {
  @PageLimit('The most changes of a page, which holds fewer once they come to a megabyte.')
  limit: number = 50;

  @PageCursor(
    'The `meta.nextCursor` of the page before, or the `cursor` of a change: what comes behind it. `now` begins at the end, with what is yet to happen; without it the first change still kept comes first.',
  )
  after?: string;
}

export class ListHistoryQuery {
  @PageLimit('The most versions of a page, which holds fewer once they come to a megabyte.')
  limit: number = 50;

  @PageCursor('The `meta.nextCursor` of the page before, for the page behind it.')
  after?: string;
}

function ApiProject(description: string): PropertyDecorator {
  const none = { type: 'object', nullable: true, enum: [null] };
  return ApiProperty({ description, anyOf: [{ $ref: getSchemaPath(ProjectDto) }, none] });
}

/** What was done to a project once, and by whom. */
class DeedDto {
  @ApiProperty({
    type: 'integer',
    minimum: 1,
    example: 2,
    description: 'The version that it made; a deletion counts as one.',
  })
  version!: number;

  @ApiProperty({ enum: CHANGE_ACTIONS, enumName: 'ChangeAction', example: 'updated' })
  action!: (typeof CHANGE_ACTIONS)[number];

  @ApiProject('The project before; null when it was created.')
  before!: ProjectDto | null;

  @ApiProject('The project after; null when it was deleted.')
  after!: ProjectDto | null;

  @ApiProperty({
    example: 'ada',
    description: 'Who did it; empty where nobody was recognized, as in a session of psql.',
  })
  actor!: string;

  @ApiProperty({
    example: '0b6f3c9e-6d0f-4c8e-8f0c-3a1d5b7e9f21',
    description: 'The `X-Request-Id` of the request that did it; empty where it was no request.',
  })
  requestId!: string;

  @ApiProperty({
    format: 'date-time',
    example: '2026-01-31T12:00:00.000Z',
    description: 'When its transaction began; UTC, to the millisecond.',
  })
  at!: string;
}

@ApiSchema({ name: 'HistoryEntry', description: 'What was done to a project once, and by whom.' })
export class HistoryEntryDto extends DeedDto {
  @ApiProperty({
    type: [String],
    example: ['description'],
    description:
      'Of an update the fields that it changed, but for `version` and `updatedAt`, which every update does; else empty.',
  })
  changed!: string[];
}

@ApiSchema({ name: 'Change', description: 'What was done to one of the projects, and by whom.' })
export class ChangeDto extends DeedDto {
  @ApiProperty({
    example: 'WzQyLDU3XQ.2NuTjZDh0HGfWX8Tn0lzdA',
    description: 'What `after`, or of a stream `Last-Event-ID`, takes to go on behind this change.',
  })
  cursor!: string;

  @ApiProperty({ format: 'uuid', example: EXAMPLE_ID })
  projectId!: string;
}

@ApiSchema({ name: 'FeedMeta', description: 'What a page of the feed says about itself.' })
export class FeedMetaDto extends PageMetaDto {
  @ApiProperty({
    type: String,
    example: 'WzQyLDU3XQ.2NuTjZDh0HGfWX8Tn0lzdA',
    description: 'What `after` takes to go on from here, now or whenever more has happened.',
  })
  override nextCursor!: string;

  @ApiProperty({ example: false, description: 'Whether more has happened already.' })
  override hasMore!: boolean;
}
