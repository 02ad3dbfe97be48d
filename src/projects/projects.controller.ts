import { Inject, Query, Req, Res } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { Db } from '../db/connection.js';
import type { EntityFactory } from '../db/entity/entity.factory.js';
import type { ProjectValues } from '../db/factories/projects/columns.js';
import {
  createProjectsFactory,
  type ProjectsFactory,
} from '../db/factories/projects/projects.factory.js';
import { type Reads, readsOn } from '../db/replicas/reads.js';
import type { Project } from '../db/schema.js';
import { EntityController } from '../entities/entity.controller.js';
import { consistencyTokenOf } from '../http/answers/consistency-token.js';
import { type Success, success } from '../http/answers/envelope.js';
import { jsonData } from '../http/answers/json-text.js';
import { targetOf } from '../http/answers/public-path.js';
import { nextLink } from '../http/answers/page.js';
import { Endpoint } from '../http/contract/endpoint.js';
import { ResourceController } from '../http/contract/resource-controller.js';
import { ListedProjectDto, ListMetaDto, ListProjectsQuery } from './dto/list-projects.query.js';
import { lastIdOf, listQueryOf, metaOf, metaOfIds, refuseOtherThanIds } from './project-list.js';
import { PROJECTS } from './projects.resource.js';
import { PROJECTS_DATABASE, PROJECTS_FACTORY } from './projects.tokens.js';

/** The routes of every entity, with a richer list. */
@ResourceController('projects', { database: PROJECTS_DATABASE })
export class ProjectsController extends EntityController(PROJECTS) {
  private readonly projects: Reads<ProjectsFactory>;

  constructor(
    @Inject(PROJECTS_FACTORY) projects: ProjectsFactory,
    @Inject(PROJECTS.tokens.rows) rows: EntityFactory<Project, ProjectValues>,
    @Inject(PROJECTS_DATABASE) db: Db,
  ) {
    super(rows, db);
    this.projects = readsOn(db, projects, createProjectsFactory);
  }

  @Endpoint({
    method: 'GET',
    operationId: 'listProjects',
    summary: 'List projects',
    description:
      'Returns a page of the projects that match all filters, by default the newest first. Follow `meta.nextCursor` or the `Link` header to the last page: you get each project that exists during all of this exactly once, even if others write at the same time. A project whose sort key changes during this may move. A page ends early, with a cursor, at one mebibyte of JSON.',
    answers: {
      200: {
        description: 'The projects.',
        data: [ListedProjectDto],
        meta: ListMetaDto,
        link: true,
      },
    },
    problems: ['invalid_cursor'],
  })
  override async list(
    @Query() query: ListProjectsQuery,
    @Req() req: Request,
    @Res({ passthrough: true }) res: Response,
  ): Promise<Success<Project[], ListMetaDto>> {
    const { page, meta } = query.id
      ? await this.listByIds(query.id, query, req)
      : await this.listByFilters(query, req);
    if (meta.nextCursor) res.setHeader('Link', nextLink(req, meta.nextCursor));
    return success(
      jsonData(res, page.json, () => page.projects as Project[]),
      meta,
    );
  }

  private async listByFilters(query: ListProjectsQuery, req: Request) {
    const listQuery = listQueryOf(query);
    const page = await this.projects.read(consistencyTokenOf(req), (projects) =>
      projects.listProjects(listQuery),
    );
    return { page, meta: metaOf(page, query) };
  }

  private async listByIds(ids: string[], { fields, after }: ListProjectsQuery, req: Request) {
    refuseOtherThanIds(new URL(`http://service${targetOf(req)}`).searchParams.keys());
    const last = lastIdOf(after, ids);
    const page = await this.projects.read(consistencyTokenOf(req), (projects) =>
      projects.listProjectsById(ids, { fields, after: last }),
    );
    return { page, meta: metaOfIds(page, ids) };
  }
}
