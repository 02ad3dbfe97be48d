import { Get, Inject, Query, Req, Res, type Type } from '@nestjs/common';
import { ApiExtraModels, ApiHeader, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import type { FeedPosition } from '../db/entity/change-feed.js';
import type { Db } from '../db/connection.js';
import { type ChangesFactory, createChangesFactory } from '../db/entity/changes.factory.js';
import { type Reads, readsOn } from '../db/replicas/reads.js';
import { ApiResourceProblems, ApiSuccess } from '../http/contract/api-answers.js';
import { type Success, success } from '../http/answers/envelope.js';
import { consistencyTokenOf } from '../http/answers/consistency-token.js';
import { EVENT_STREAM, prefersEvents } from '../http/streams/event-stream.js';
import { Id } from '../http/contract/id.decorator.js';
import { nextLink, PageMetaDto } from '../http/answers/page.js';
import { ResourceController } from '../http/contract/resource-controller.js';
import { ChangeStreams } from './change-streams.js';
import {
  ChangeDto,
  changeDtosOf,
  FeedMetaDto,
  HistoryEntryDto,
  ListChangesQuery,
  ListHistoryQuery,
  NOW,
} from './dto/change.dto.js';
import { exampleStream, feedDescription, LAST_EVENT_ID, STREAM } from './feed-documentation.js';
import { feedMeta, feedPosition, toChangeDto } from './feed.js';
import { historyCursor, historyMeta, historyPosition, toHistoryEntry } from './history.js';
import { documentedNamesOf, type TrackedEntity } from './tracked-entity.js';

/** The position after which a reader starts; undefined: before the first change that is kept. */
type Start = FeedPosition | typeof NOW | undefined;

/**
 * Creates the controller of the changes of one entity: `GET <path>/changes` (the feed and the live streams)
 * and `GET <path>/:id/history`. The module must provide `changesProviders(entity)` and list this controller
 * before any controller with `:id` in its path.
 */
export function ChangesController<Factory>(entity: TrackedEntity<Factory>): Type<object> {
  const { name, path, tokens } = entity;
  const { feedOperation, historyOperation } = documentedNamesOf(entity);
  const dtos = changeDtosOf(entity);

  @ApiTags('changes')
  @ApiExtraModels(entity.dto)
  @ResourceController(path)
  class Controller {
    private readonly reads: Reads<ChangesFactory>;

    constructor(
      @Inject(tokens.changes) private readonly changes: ChangesFactory,
      @Inject(tokens.rows) private readonly rows: Factory,
      @Inject(ChangeStreams) private readonly streams: ChangeStreams,
      @Inject(tokens.database) db: Db,
    ) {
      this.reads = readsOn(db, changes, (replica) => createChangesFactory(replica, name));
    }

    @Get('changes')
    @ApiOperation({
      operationId: feedOperation,
      summary: 'Read the change feed',
      description: feedDescription(entity),
    })
    @ApiHeader({ name: 'Last-Event-ID', required: false, description: LAST_EVENT_ID })
    @ApiSuccess(200, {
      description: 'The changes.',
      data: [dtos.change],
      meta: FeedMetaDto,
      otherwise: { [EVENT_STREAM]: { description: STREAM, example: exampleStream(entity) } },
    })
    @ApiResourceProblems('invalid_cursor', 'cursor_expired')
    async feed(
      @Query() { limit, after }: ListChangesQuery,
      @Req() req: Request,
      @Res() res: Response,
    ): Promise<void> {
      res.vary('Accept');
      if (prefersEvents(req)) return await this.streams.follow(res, this.resumed(req, after));
      const place = this.named(after);
      const from = place === NOW ? await this.changes.getFeedEnd() : place;
      const page = await this.changes.getFeedPage({ limit, after: from });
      const data: ChangeDto[] = page.changes.map(toChangeDto);
      res.json(success(data, feedMeta(name, page, limit)));
    }

    /** An `EventSource` reconnects with its original URL, so the header Last-Event-ID takes precedence. */
    private resumed({ headers }: Request, after?: string): Start {
      const last = headers['last-event-id'];
      if (typeof last !== 'string' || last === '') return this.named(after);
      return feedPosition(name, last, 'Last-Event-ID');
    }

    private named(after?: string): Start {
      return after === undefined || after === NOW ? after : feedPosition(name, after);
    }

    @Get(':id/history')
    @ApiOperation({
      operationId: historyOperation,
      summary: `Read the history of a ${name}`,
      description: `Lists every stored version, the latest first: what changed, when and by whom. It includes changes from every source, also from a psql session. A deleted ${name} keeps its history. If it is created again with the same id, it has both histories.`,
    })
    @ApiParam({
      name: 'id',
      type: String,
      format: 'uuid',
      example: entity.exampleId,
      description: `The id of the ${name}: a UUID of any version.`,
    })
    @ApiSuccess(200, {
      description: 'The versions.',
      data: [dtos.historyEntry],
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
      const before = historyPosition(name, id, after);
      const page = await this.reads.read(consistencyTokenOf(req), (changes) =>
        changes.getHistory(id, { limit, before }),
      );
      // Retention may have removed the whole history of a row that exists.
      if (page.changes.length === 0 && after === undefined) await entity.getRow(this.rows, id);
      const nextCursor = historyCursor(name, id, page);
      if (nextCursor) res.setHeader('Link', nextLink(req, nextCursor));
      return success(page.changes.map(toHistoryEntry), historyMeta(nextCursor, limit));
    }
  }
  return Controller;
}
