import {
  applyDecorators,
  Body,
  Delete,
  Get,
  Headers,
  HttpCode,
  Inject,
  Patch,
  Post,
  Put,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import { ApiConsumes, ApiHeader, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { IncomingHttpHeaders } from 'node:http';
import type { Request, Response } from 'express';
import type { Db } from '../db/connection.js';
import {
  createProjectsFactory,
  type ProjectsFactory,
  versionMismatch,
} from '../db/factories/projects/projects.factory.js';
import type { Project } from '../db/schema.js';
import {
  ApiNotModified,
  ApiResourceProblems,
  ApiSuccess,
  BODY_PROBLEMS,
} from '../http/contract/api-answers.js';
import { type Success, success } from '../http/answers/envelope.js';
import { authorOf } from '../http/contract/author.js';
import { areNamed, etagOf, preconditionsOf } from '../http/answers/etag.js';
import { Id } from '../http/contract/id.decorator.js';
import { jsonData } from '../http/answers/json-text.js';
import { ApiIdempotencyKey, KEY_PROBLEMS, once } from '../http/answers/idempotency.js';
import { publicPathOf } from '../http/answers/public-path.js';
import { nextLink } from '../http/answers/page.js';
import { notValid, Problem } from '../http/problems/problem.js';
import { ResourceController } from '../http/contract/resource-controller.js';
import { ApiId } from './api-id.js';
import { ListedProjectDto, ListMetaDto, ListProjectsQuery } from './dto/list-projects.query.js';
import { ProjectDto } from './dto/project.dto.js';
import { PatchProjectDto, WriteProjectDto } from './dto/write-project.dto.js';
import { listQueryOf, metaOf, refuseBesideIds } from './project-list.js';
import { PROJECTS_DATABASE, PROJECTS_FACTORY } from './projects.tokens.js';

const ApiIfMatch = (description: string) =>
  ApiHeader({ name: 'If-Match', required: false, description });
const ApiIfNoneMatch = (description: string) =>
  ApiHeader({ name: 'If-None-Match', required: false, description });
/** RFC 9110 13.1, both at once if they are both there. */
const ApiWriteConditions = () =>
  applyDecorators(
    ApiIfMatch(
      'Write only if the project is at one of these ETags, such as `"7"`, or with `*` if it exists; else 412. Without it the last write wins.',
    ),
    ApiIfNoneMatch(
      'Write only if the project is at none of these ETags, or with `*` if it does not exist; else 412.',
    ),
  );

@ApiTags('projects')
@ResourceController('projects')
export class ProjectsController {
  constructor(
    @Inject(PROJECTS_FACTORY) private readonly projects: ProjectsFactory,
    @Inject(PROJECTS_DATABASE) private readonly db: Db,
  ) {}

  @Get()
  @ApiOperation({
    operationId: 'listProjects',
    summary: 'List projects',
    description:
      'A page of the projects that every filter given lets through, the newest first unless `sort` says otherwise. Follow `meta.nextCursor`, or the `Link` header, to the last page: whatever others write meanwhile, each project that stands all along is met once. One whose sort key changes meanwhile moves.',
  })
  @ApiSuccess(200, {
    description: 'The projects.',
    data: [ListedProjectDto],
    meta: ListMetaDto,
    link: true,
  })
  @ApiResourceProblems('invalid_cursor')
  async list(
    @Query() query: ListProjectsQuery,
    @Req() req: Request,
    @Res({ passthrough: true }) res: Response,
  ): Promise<Success<Partial<Project>[], ListMetaDto>> {
    if (query.id) return await this.listByIds(query.id, query, req);
    const page = await this.projects.listProjects(listQueryOf(query));
    const meta = metaOf(page, query);
    if (meta.nextCursor) res.setHeader('Link', nextLink(req, meta.nextCursor));
    return success(
      jsonData(res, page.json, () => page.projects),
      meta,
    );
  }

  private async listByIds(ids: string[], { fields }: ListProjectsQuery, req: Request) {
    refuseBesideIds(req);
    const found = await this.projects.getProjectsById(ids, fields);
    return success(found, { limit: ids.length, nextCursor: null, hasMore: false });
  }

  @Get(':id')
  @ApiOperation({
    operationId: 'getProject',
    summary: 'Read a project',
    description: 'Its `ETag` is for `If-None-Match` here and for `If-Match` when it is written.',
  })
  @ApiIfMatch('Answer 412 if the project is at none of these ETags.')
  @ApiIfNoneMatch('Answer 304 if the project is still at one of these ETags, such as `"7"`.')
  @ApiId()
  @ApiSuccess(200, { description: 'The project.', data: ProjectDto, etag: true })
  @ApiNotModified()
  @ApiResourceProblems('invalid_id', 'invalid_header', 'not_found', 'version_mismatch')
  async get(
    @Id() id: string,
    @Headers() headers: IncomingHttpHeaders,
    @Res({ passthrough: true }) res: Response,
  ): Promise<Success<Project> | undefined> {
    const { versions, notVersions } = preconditionsOf(headers);
    const project = await this.projects.getProject(id);
    if (versions && !areNamed(versions, project.version)) versionMismatch();
    const answer = withETag(res, project);
    if (!notVersions || !areNamed(notVersions, project.version)) return answer;
    res.status(304);
    return undefined;
  }

  @Post()
  @ApiOperation({
    operationId: 'createProject',
    summary: 'Create a project',
    description: 'The service makes the id. To choose it yourself, PUT to its path.',
  })
  @ApiIdempotencyKey()
  @ApiConsumes('application/json')
  @ApiSuccess(201, {
    description: 'The project created.',
    data: ProjectDto,
    etag: true,
    location: true,
    replayed: true,
  })
  @ApiResourceProblems(...BODY_PROBLEMS, ...KEY_PROBLEMS)
  async create(
    @Body() body: WriteProjectDto,
    @Req() req: Request,
    @Res({ passthrough: true }) res: Response,
  ): Promise<Success<Project>> {
    return await once(this.db, { req, res }, async (tx) => {
      const projects = tx ? createProjectsFactory(tx) : this.projects;
      const project = await projects.createProject(body, authorOf(req, res));
      const Location = `${publicPathOf(req).replace(/\/$/, '')}/${project.id}`;
      return { headers: { Location, ETag: etagOf(project.version) }, body: success(project) };
    });
  }

  @Put(':id')
  @ApiOperation({
    operationId: 'replaceProject',
    summary: 'Replace a project, or create it under this id',
    description:
      'The same request twice gives the same project. With `If-Match` it only replaces, with `If-None-Match: *` it only creates. A project that is created under the id of one that was deleted goes on from the version of the deletion, for as long as that is in the history, so that an ETag never names both.',
  })
  @ApiWriteConditions()
  @ApiId()
  @ApiConsumes('application/json')
  @ApiSuccess(200, { description: 'The project replaced.', data: ProjectDto, etag: true })
  @ApiSuccess(201, {
    description: 'The project created.',
    data: ProjectDto,
    etag: true,
    location: true,
  })
  @ApiResourceProblems('invalid_id', 'invalid_header', 'version_mismatch', ...BODY_PROBLEMS)
  async put(
    @Id() id: string,
    @Body() body: WriteProjectDto,
    @Headers() headers: IncomingHttpHeaders,
    @Req() req: Request,
    @Res({ passthrough: true }) res: Response,
  ): Promise<Success<Project>> {
    const options = { ...preconditionsOf(headers), by: authorOf(req, res) };
    const { project, created } = await this.projects.putProject(id, body, options);
    // The one path of the project, however its id was written in the request.
    if (created) res.status(201).location(publicPathOf(req).replace(/[^/]*$/, project.id));
    return withETag(res, project);
  }

  @Patch(':id')
  @ApiOperation({
    operationId: 'patchProject',
    summary: 'Change fields of a project',
    description:
      'A JSON merge patch (RFC 7396): absent fields keep their values, a list is replaced whole; `null` and an empty patch are refused.',
  })
  @ApiWriteConditions()
  @ApiId()
  @ApiConsumes('application/merge-patch+json', 'application/json')
  @ApiSuccess(200, { description: 'The project as it is now.', data: ProjectDto, etag: true })
  @ApiResourceProblems(
    'invalid_id',
    'invalid_header',
    'not_found',
    'version_mismatch',
    ...BODY_PROBLEMS,
  )
  async patch(
    @Id() id: string,
    @Body() patch: PatchProjectDto,
    @Headers() headers: IncomingHttpHeaders,
    @Req() req: Request,
    @Res({ passthrough: true }) res: Response,
  ): Promise<Success<Project>> {
    if (Object.keys(patch).length === 0) throw emptyPatch();
    const options = { ...preconditionsOf(headers), by: authorOf(req, res) };
    return withETag(res, await this.projects.updateProject(id, patch, options));
  }

  @Delete(':id')
  @HttpCode(200)
  @ApiOperation({ operationId: 'deleteProject', summary: 'Remove a project' })
  @ApiWriteConditions()
  @ApiId()
  @ApiSuccess(200, { description: 'The project removed, as it was.', data: ProjectDto })
  @ApiResourceProblems('invalid_id', 'invalid_header', 'not_found', 'conflict', 'version_mismatch')
  async remove(
    @Id() id: string,
    @Headers() headers: IncomingHttpHeaders,
    @Req() req: Request,
    @Res({ passthrough: true }) res: Response,
  ): Promise<Success<Project>> {
    const options = { ...preconditionsOf(headers), by: authorOf(req, res) };
    return success(await this.projects.deleteProject(id, options));
  }
}

function withETag(res: Response, project: Project): Success<Project> {
  res.setHeader('ETag', etagOf(project.version));
  return success(project);
}

function emptyPatch(): Problem {
  return notValid([{ path: '', message: 'the patch must change at least one field' }]);
}
