import { Get, Inject, Query, Req, Res } from '@nestjs/common';
import { ApiExtraModels, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import type { FeedPosition } from '../db/factories/change-feed.js';
import type { ChangesFactory } from '../db/factories/changes.factory.js';
import type { ProjectsFactory } from '../db/factories/projects.factory.js';
import { ApiResourceProblems, ApiSuccess } from '../http/api-answers.js';
import { type Success, success } from '../http/envelope.js';
import { Id } from '../http/id.decorator.js';
import { nextLink, PageMetaDto } from '../http/page.js';
import { ResourceController } from '../http/resource-controller.js';
import { ApiId } from '../projects/api-id.js';
import { ProjectDto } from '../projects/dto/project.dto.js';
import { PROJECTS_FACTORY } from '../projects/projects.tokens.js';
import { CHANGES_FACTORY } from './changes.tokens.js';
import {
  ChangeDto,
  FeedMetaDto,
  HistoryEntryDto,
  ListChangesQuery,
  ListHistoryQuery,
  NOW,
} from './dto/change.dto.js';
import { feedMeta, feedPosition, toChangeDto } from './feed.js';
import { historyMeta, historyPosition, toHistoryEntry } from './history.js';

const FEED =
  'Every change to any project, whatever made it, exactly once and in the order of the commits, from the first that is still kept.';

@ApiTags('changes')
@ApiExtraModels(ProjectDto)
@ResourceController('projects')
export class ChangesController {
  constructor(
    @Inject(CHANGES_FACTORY) private readonly changes: ChangesFactory,
    @Inject(PROJECTS_FACTORY) private readonly projects: ProjectsFactory,
  ) {}

  @Get('changes')
  @ApiOperation({ operationId: 'listChanges', summary: 'Read the change feed', description: FEED })
  @ApiSuccess(200, { description: 'The changes.', data: [ChangeDto], meta: FeedMetaDto })
  @ApiResourceProblems('invalid_cursor', 'cursor_expired')
  async feed(
    @Query() { limit, after }: ListChangesQuery,
  ): Promise<Success<ChangeDto[], FeedMetaDto>> {
    const page = await this.changes.getFeedPage({ limit, after: await this.place(after) });
    return success(page.changes.map(toChangeDto), feedMeta(page, limit));
  }

  private async place(after: string | undefined): Promise<FeedPosition | undefined> {
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
