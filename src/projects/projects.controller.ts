import {
  Body,
  Delete,
  Get,
  Headers,
  HttpCode,
  Inject,
  Param,
  Patch,
  Post,
  Put,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import { ApiConsumes, ApiHeader, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import type { ProjectsFactory } from '../db/factories/projects.factory.js';
import type { Project } from '../db/schema.js';
import { ApiCommonProblems, ApiNotModified, ApiProblems, ApiSuccess } from '../http/api-answers.js';
import { type Success, success } from '../http/envelope.js';
import { createsOnly, etagOf, ifMatch, ifNoneMatchNames } from '../http/etag.js';
import { Problem } from '../http/problem.js';
import { ResourceController } from '../http/resource-controller.js';
import { UuidPipe } from '../http/uuid.pipe.js';
import { ListMetaDto, ListProjectsQuery } from './dto/list-projects.query.js';
import { ProjectDto } from './dto/project.dto.js';
import { PatchProjectDto, WriteProjectDto } from './dto/write-project.dto.js';
import { PROJECTS_FACTORY } from './projects.tokens.js';

const Id = () => Param('id', UuidPipe);
const ApiId = () => ApiParam({ name: 'id', format: 'uuid' });
const ApiIfMatch = () =>
  ApiHeader({
    name: 'If-Match',
    required: false,
    description:
      'Write only if the project is at one of these ETags, such as `"7"`; `*` if it exists. Without it the last write wins.',
  });

@ApiTags('projects')
@ApiCommonProblems()
@ResourceController('projects')
export class ProjectsController {
  constructor(@Inject(PROJECTS_FACTORY) private readonly projects: ProjectsFactory) {}

  @Get()
  @ApiOperation({ summary: 'The newest projects' })
  @ApiSuccess(200, { description: 'The newest first.', data: [ProjectDto], meta: ListMetaDto })
  async list(@Query() { limit }: ListProjectsQuery): Promise<Success<Project[], ListMetaDto>> {
    const rows = await this.projects.getAllProjects(limit + 1);
    return success(rows.slice(0, limit), { limit, hasMore: rows.length > limit });
  }

  @Get(':id')
  @ApiOperation({ summary: 'One project' })
  @ApiId()
  @ApiHeader({
    name: 'If-None-Match',
    required: false,
    description: 'Answer 304 if the project is still at one of these ETags.',
  })
  @ApiSuccess(200, { description: 'The project.', data: ProjectDto, etag: true })
  @ApiNotModified()
  @ApiProblems('invalid_id', 'invalid_header', 'not_found')
  async get(
    @Id() id: string,
    @Headers('if-none-match') known: string | undefined,
    @Res({ passthrough: true }) res: Response,
  ): Promise<Success<Project> | undefined> {
    const project = await this.projects.getProject(id);
    res.setHeader('ETag', etagOf(project.version));
    if (!ifNoneMatchNames(known, project.version)) return success(project);
    res.status(304);
    return undefined;
  }

  @Post()
  @ApiOperation({ summary: 'Create a project' })
  @ApiConsumes('application/json')
  @ApiSuccess(201, {
    description: 'The project created.',
    data: ProjectDto,
    etag: true,
    location: true,
  })
  @ApiProblems('invalid_json', 'payload_too_large', 'unsupported_media_type')
  async create(
    @Body() body: WriteProjectDto,
    @Req() req: Request,
    @Res({ passthrough: true }) res: Response,
  ): Promise<Success<Project>> {
    const project = await this.projects.createProject(body);
    res.setHeader('Location', `${req.baseUrl}${req.path}/${project.id}`);
    return written(res, project);
  }

  @Put(':id')
  @ApiOperation({ summary: 'Replace a project, or create it under this id' })
  @ApiId()
  @ApiIfMatch()
  @ApiHeader({
    name: 'If-None-Match',
    required: false,
    description: '`*`: create only, never replace.',
  })
  @ApiConsumes('application/json')
  @ApiSuccess(200, { description: 'The project replaced.', data: ProjectDto, etag: true })
  @ApiSuccess(201, {
    description: 'The project created.',
    data: ProjectDto,
    etag: true,
    location: true,
  })
  @ApiProblems(
    'invalid_id',
    'invalid_header',
    'invalid_json',
    'version_mismatch',
    'payload_too_large',
    'unsupported_media_type',
  )
  async put(
    @Id() id: string,
    @Body() body: WriteProjectDto,
    @Headers('if-match') match: string | undefined,
    @Headers('if-none-match') noneMatch: string | undefined,
    @Req() req: Request,
    @Res({ passthrough: true }) res: Response,
  ): Promise<Success<Project>> {
    if (match !== undefined && noneMatch !== undefined) throw contradiction();
    const { project, created } = createsOnly(noneMatch)
      ? { project: await this.projects.createProjectWithId(id, body), created: true }
      : await this.projects.putProject(id, body, { versions: ifMatch(match) });
    if (created) res.status(201).setHeader('Location', `${req.baseUrl}${req.path}`);
    return written(res, project);
  }

  @Patch(':id')
  @ApiOperation({
    summary: 'Change fields of a project',
    description:
      'A JSON merge patch (RFC 7396): absent fields keep their values; `null` and an empty patch are refused.',
  })
  @ApiId()
  @ApiIfMatch()
  @ApiConsumes('application/merge-patch+json', 'application/json')
  @ApiSuccess(200, { description: 'The project as it is now.', data: ProjectDto, etag: true })
  @ApiProblems(
    'invalid_id',
    'invalid_header',
    'invalid_json',
    'not_found',
    'version_mismatch',
    'payload_too_large',
    'unsupported_media_type',
  )
  async patch(
    @Id() id: string,
    @Body() patch: PatchProjectDto,
    @Headers('if-match') match: string | undefined,
    @Res({ passthrough: true }) res: Response,
  ): Promise<Success<Project>> {
    if (Object.keys(patch).length === 0) throw emptyPatch();
    return written(res, await this.projects.updateProject(id, patch, { versions: ifMatch(match) }));
  }

  @Delete(':id')
  @HttpCode(200)
  @ApiOperation({ summary: 'Remove a project' })
  @ApiId()
  @ApiIfMatch()
  @ApiSuccess(200, { description: 'The project removed, as it was.', data: ProjectDto })
  @ApiProblems('invalid_id', 'invalid_header', 'not_found', 'version_mismatch')
  async remove(
    @Id() id: string,
    @Headers('if-match') match: string | undefined,
  ): Promise<Success<Project>> {
    return success(await this.projects.deleteProject(id, { versions: ifMatch(match) }));
  }
}

function written(res: Response, project: Project): Success<Project> {
  res.setHeader('ETag', etagOf(project.version));
  return success(project);
}

function emptyPatch(): Problem {
  return new Problem('validation_failed', 'The request is not valid; errors says where.', {
    errors: [{ path: '', message: 'the patch must change at least one field' }],
  });
}

function contradiction(): Problem {
  return new Problem('invalid_header', 'If-Match and If-None-Match cannot both hold.');
}
