import type { IncomingHttpHeaders } from 'node:http';
import { Body, Headers, Inject, Query, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import type { Db } from '../db/connection.js';
import type { EntityRow } from '../db/entity/entity.js';
import type { EntityFactory } from '../db/entity/entity.factory.js';
import { type Reads, readsOn } from '../db/replicas/reads.js';
import { versionMismatch } from '../db/entity/write-conditions.js';
import { consistencyTokenOf } from '../http/answers/consistency-token.js';
import { type Success, success } from '../http/answers/envelope.js';
import { areNamed, etagOf, preconditionsOf } from '../http/answers/etag.js';
import { withIdempotencyKey } from '../http/answers/idempotency.js';
import { publicPathOf } from '../http/answers/public-path.js';
import { nextLink, PageMetaDto } from '../http/answers/page.js';
import { authorOf } from '../http/contract/author.js';
import { AnswersOneWrite } from '../http/contract/consistency.js';
import { Endpoint } from '../http/contract/endpoint.js';
import { Id } from '../http/contract/id.decorator.js';
import { ResourceController } from '../http/contract/resource-controller.js';
import { notValid, type ProblemCode } from '../http/problems/problem.js';
import { type EntityListQuery, toListQuery, toPageMeta } from './entity-list.js';
import { listQueryDtoOf } from './entity.dto.js';
import type { EntityResource } from './entity-resource.js';

/**
 * Creates a controller with every route of one entity: a paged and filtered list, GET with ETag and 304,
 * idempotent POST, and PUT, PATCH and DELETE with If-Match, all documented. A subclass may override
 * routes and add others.
 */
export function EntityController<Row extends EntityRow, Values extends object>(
  resource: EntityResource<Row, Values>,
) {
  const { entity, name, path, dto, bodies, tokens, exampleId } = resource;
  const { input, patch: patchDto } = bodies;
  const Name = name[0]!.toUpperCase() + name.slice(1);
  const Plural = path[0]!.toUpperCase() + path.slice(1);
  const id = { noun: name, example: exampleId };
  const unique: ProblemCode[] = entity.hasUniqueValues ? ['already_exists'] : [];
  // Rows of another table may refer to any unique value.
  const replaced: ProblemCode[] = entity.hasUniqueValues ? [...unique, 'still_referenced'] : [];

  @ApiTags(path)
  @ResourceController(path, { database: tokens.database })
  class Controller {
    readonly reads: Reads<EntityFactory<Row, Values>>;

    constructor(
      @Inject(tokens.rows) readonly rows: EntityFactory<Row, Values>,
      @Inject(tokens.database) readonly db: Db,
    ) {
      this.reads = readsOn(db, rows, (replica) => rows.on(replica));
    }

    @Endpoint({
      method: 'GET',
      operationId: `list${Plural}`,
      summary: `List ${path}`,
      description:
        'Returns a page, by default the newest entries first. Follow `meta.nextCursor` or the `Link` header to the last page: you get each entry that exists during all of this exactly once, even if others write at the same time. A page ends early, with a cursor, at one mebibyte of JSON.',
      query: listQueryDtoOf(entity),
      answers: { 200: { description: `The ${path}.`, data: [dto], meta: PageMetaDto, link: true } },
      problems: ['invalid_cursor'],
    })
    async list(
      @Query() query: EntityListQuery,
      @Req() req: Request,
      @Res({ passthrough: true }) res: Response,
    ): Promise<Success<Row[], PageMetaDto>> {
      const listQuery = toListQuery(entity, query);
      const page = await this.reads.read(consistencyTokenOf(req), (rows) => rows.list(listQuery));
      const meta = toPageMeta(entity, page, query);
      if (meta.nextCursor) res.setHeader('Link', nextLink(req, meta.nextCursor));
      return success(page.rows, meta);
    }

    @Endpoint({
      method: 'GET',
      path: ':id',
      operationId: `get${Name}`,
      summary: `Read a ${name}`,
      description:
        'Send the `ETag` of the answer in `If-None-Match` with later reads and in `If-Match` with writes.',
      answers: { 200: { description: `The ${name}.`, data: dto, etag: true } },
      problems: ['not_found'],
      conditions: 'read',
      id,
    })
    async get(
      @Id() id: string,
      @Req() req: Request,
      @Res({ passthrough: true }) res: Response,
    ): Promise<Success<Row> | undefined> {
      const { versions, notVersions } = preconditionsOf(req.headers);
      const row = await this.reads.read(consistencyTokenOf(req), (rows) => rows.get(id));
      if (versions && !areNamed(versions, row.version)) versionMismatch(entity);
      const answer = withETag(res, row);
      if (!notVersions || !areNamed(notVersions, row.version)) return answer;
      res.status(304);
      return undefined;
    }

    @AnswersOneWrite()
    @Endpoint({
      method: 'POST',
      operationId: `create${Name}`,
      summary: `Create a ${name}`,
      description: 'The service creates the id. To choose the id yourself, use PUT.',
      body: input,
      answers: {
        201: {
          description: `The created ${name}.`,
          data: dto,
          etag: true,
          location: true,
          replayed: true,
        },
      },
      problems: unique,
      idempotent: true,
    })
    async create(
      @Body() body: Values,
      @Req() req: Request,
      @Res({ passthrough: true }) res: Response,
    ): Promise<Success<Row>> {
      return await withIdempotencyKey(this.db, { req, res }, async (tx) => {
        const rows = tx ? this.rows.on(tx) : this.rows;
        const row = await rows.create(body, authorOf(req, res));
        const Location = `${publicPathOf(req).replace(/\/$/, '')}/${row.id}`;
        return { headers: { Location, ETag: etagOf(row.version) }, body: success(row) };
      });
    }

    @AnswersOneWrite()
    @Endpoint({
      method: 'PUT',
      path: ':id',
      operationId: `replace${Name}`,
      summary: `Replace a ${name}, or create it under this id`,
      description: `A repeated request has the same result. With \`If-Match\` the request only replaces, with \`If-None-Match: *\` it only creates. If a deleted ${name} is created again with the same id while the history still has it, its version continues after the version of the deletion, so that no ETag identifies two different states.`,
      body: input,
      answers: {
        200: { description: `The replaced ${name}.`, data: dto, etag: true },
        201: { description: `The created ${name}.`, data: dto, etag: true, location: true },
      },
      problems: replaced,
      conditions: 'write',
      id,
    })
    async put(
      @Id() id: string,
      @Body() body: Values,
      @Headers() headers: IncomingHttpHeaders,
      @Req() req: Request,
      @Res({ passthrough: true }) res: Response,
    ): Promise<Success<Row>> {
      const options = { ...preconditionsOf(headers), by: authorOf(req, res) };
      const { row, created } = await this.rows.put(id, body, options);
      // The path has the id in lower case, also if the request did not.
      if (created) res.status(201).location(publicPathOf(req).replace(/[^/]*$/, row.id));
      return withETag(res, row);
    }

    @AnswersOneWrite()
    @Endpoint({
      method: 'PATCH',
      path: ':id',
      operationId: `patch${Name}`,
      summary: `Change fields of a ${name}`,
      description:
        'The body is a JSON merge patch (RFC 7396): absent fields keep their values, and a list is replaced as a whole. `null` and an empty patch are refused.',
      body: patchDto,
      consumes: ['application/merge-patch+json', 'application/json'],
      answers: { 200: { description: `The changed ${name}.`, data: dto, etag: true } },
      problems: ['not_found', ...replaced],
      conditions: 'write',
      id,
    })
    async patch(
      @Id() id: string,
      @Body() body: Partial<Values>,
      @Headers() headers: IncomingHttpHeaders,
      @Req() req: Request,
      @Res({ passthrough: true }) res: Response,
    ): Promise<Success<Row>> {
      if (Object.keys(body).length === 0) {
        throw notValid([{ path: '', message: 'the patch must change at least one field' }]);
      }
      const options = { ...preconditionsOf(headers), by: authorOf(req, res) };
      return withETag(res, await this.rows.update(id, body, options));
    }

    @AnswersOneWrite()
    @Endpoint({
      method: 'DELETE',
      path: ':id',
      operationId: `delete${Name}`,
      summary: `Remove a ${name}`,
      answers: { 200: { description: `The removed ${name} in its last state.`, data: dto } },
      problems: ['not_found', 'conflict', 'still_referenced'],
      conditions: 'write',
      id,
    })
    async remove(
      @Id() id: string,
      @Headers() headers: IncomingHttpHeaders,
      @Req() req: Request,
      @Res({ passthrough: true }) res: Response,
    ): Promise<Success<Row>> {
      const options = { ...preconditionsOf(headers), by: authorOf(req, res) };
      return success(await this.rows.remove(id, options));
    }
  }
  return Controller;
}

function withETag<Row extends EntityRow>(res: Response, row: Row): Success<Row> {
  res.setHeader('ETag', etagOf(row.version));
  return success(row);
}
