import { Get, Inject, Query, Req, Res } from '@nestjs/common';
import { ApiExtraModels, ApiHeader, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import type { FeedPosition } from '../db/entity/change-feed.js';
import type { ChangesFactory } from '../db/entity/changes.factory.js';
import type { ProjectsFactory } from '../db/factories/projects/projects.factory.js';
import { ApiResourceProblems, ApiSuccess } from '../http/contract/api-answers.js';
import { type Success, success } from '../http/answers/envelope.js';
import { EVENT_STREAM } from '../http/streams/event-stream.js';
import { Id } from '../http/contract/id.decorator.js';
import { nextLink, PageMetaDto } from '../http/answers/page.js';
import { ResourceController } from '../http/contract/resource-controller.js';
import { ApiId } from '../projects/api-id.js';
import { ProjectDto } from '../projects/dto/project.dto.js';
import { PROJECTS_FACTORY } from '../projects/projects.tokens.js';
import { ChangeStreams } from './change-streams.js';
import { CHANGES_FACTORY } from './changes.tokens.js';
import {
  ChangeDto,
  FeedMetaDto,
  HistoryEntryDto,
  ListChangesQuery,
  ListHistoryQuery,
  NOW,
} from './dto/change.dto.js';
import { EXAMPLE_STREAM, FEED, LAST_EVENT_ID, STREAM } from './feed-documentation.js';
import { feedMeta, feedPosition, toChangeDto } from './feed.js';
import { historyMeta, historyPosition, toHistoryEntry } from './history.js';

@ApiTags('changes')
@ApiExtraModels(ProjectDto)
@ResourceController('projects')
export class ChangesController {
  constructor(
    @Inject(CHANGES_FACTORY) private readonly changes: ChangesFactory,
    @Inject(PROJECTS_FACTORY) private readonly projects: ProjectsFactory,
    @Inject(ChangeStreams) private readonly streams: ChangeStreams,
  ) {}

  @Get('changes')
  @ApiOperation({ operationId: 'listChanges', summary: 'Read the change feed', description: FEED })
  @ApiHeader({ name: 'Last-Event-ID', required: false, description: LAST_EVENT_ID })
  @ApiSuccess(200, {
    description: 'The changes.',
    data: [ChangeDto],
    meta: FeedMetaDto,
    otherwise: { [EVENT_STREAM]: { description: STREAM, example: EXAMPLE_STREAM } },
  })
  @ApiResourceProblems('invalid_cursor', 'cursor_expired')
  async feed(
    @Query() { limit, after }: ListChangesQuery,
    @Req() req: Request,
    @Res() res: Response,
  ): Promise<void> {
    res.vary('Accept');
    if (prefersEvents(req)) return await this.streams.follow(res, await this.resumed(req, after));
    const page = await this.changes.getFeedPage({ limit, after: await this.named(after) });
    res.json(success(page.changes.map(toChangeDto), feedMeta(page, limit)));
  }

  /** What a client has seen last counts: when it comes back, it does so by the URL that it began with. */
  private async resumed({ headers }: Request, after?: string): Promise<FeedPosition | undefined> {
    const last = headers['last-event-id'];
    if (typeof last !== 'string' || last === '') return await this.named(after);
    return feedPosition(last, 'Last-Event-ID');
  }

  private async named(after?: string): Promise<FeedPosition | undefined> {
    if (after === NOW) return await this.changes.getFeedEnd();
    return after === undefined ? undefined : feedPosition(after);
  }

  @Get(':id/history')
  @ApiOperation({
    operationId: 'getProjectHistory',
    summary: 'Read the history of a project',
    description:
      'Every version of it that is still kept, the last first: what changed, when and by whom, whatever changed it, a session of psql included. A project that was deleted has its history still; one that was deleted and made again under the same id has both.',
  })
  @ApiId()
  @ApiSuccess(200, {
    description: 'The versions.',
    data: [HistoryEntryDto],
    meta: PageMetaDto,
    link: true,
  })
  @ApiResourceProblems('invalid_id', 'invalid_cursor', 'not_found')
  async history(
    @Id() id: string,
    @Query() { limit, after }: ListHistoryQuery,
    @Req() req: Request,
    @Res({ passthrough: true }) res: Response,
  ): Promise<Success<HistoryEntryDto[], PageMetaDto>> {
    const page = await this.changes.getHistory(id, { limit, before: historyPosition(id, after) });
    // Retention may have removed all there was of a project that stands.
    if (page.changes.length === 0 && after === undefined) await this.projects.getProject(id);
    const meta = historyMeta(id, page, limit);
    if (meta.nextCursor) res.setHeader('Link', nextLink(req, meta.nextCursor));
    return success(page.changes.map(toHistoryEntry), meta);
  }
}

function prefersEvents(req: Request): boolean {
  return req.accepts(['application/json', EVENT_STREAM]) === EVENT_STREAM;
}
