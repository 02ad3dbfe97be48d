import { Body, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import { ApiConsumes, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import type { Db } from '../db/connection.js';
import {
  createProjectsFactory,
  type ProjectsFactory,
} from '../db/factories/projects/projects.factory.js';
import { ApiResourceProblems, ApiSuccess, BODY_PROBLEMS } from '../http/contract/api-answers.js';
import { authorOf } from '../http/contract/author.js';
import { type Success, success } from '../http/answers/envelope.js';
import { ApiIdempotencyKey, KEY_PROBLEMS, once } from '../http/answers/idempotency.js';
import { ResourceController } from '../http/contract/resource-controller.js';
import { OperationResultDto, ProjectBatchDto } from './dto/project-batch.dto.js';
import { operationsOf, resultOf, throwAsProblem } from './project-batch.js';
import { PROJECTS_DATABASE, PROJECTS_FACTORY } from './projects.tokens.js';

@ApiTags('projects')
@ResourceController('projects')
export class BatchController {
  constructor(
    @Inject(PROJECTS_FACTORY) private readonly projects: ProjectsFactory,
    @Inject(PROJECTS_DATABASE) private readonly db: Db,
  ) {}

  @Post('batch')
  @HttpCode(200)
  @ApiOperation({
    operationId: 'batchProjects',
    summary: 'Create, replace and remove projects, all or none',
    description:
      'All operations are done in one transaction, or none is, and `data` holds a result for each, in their order. Where some cannot be done, the answer has the code of the first of them, and `errors` names each: a project to be removed that is not there (`not_found`), an `ifMatch` that is not met (`version_mismatch`). An id may stand in one operation only.',
  })
  @ApiIdempotencyKey()
  @ApiConsumes('application/json')
  @ApiSuccess(200, {
    description: 'What became of each operation.',
    data: [OperationResultDto],
    replayed: true,
  })
  @ApiResourceProblems('not_found', 'version_mismatch', ...BODY_PROBLEMS, ...KEY_PROBLEMS)
  async batch(
    @Body() body: ProjectBatchDto,
    @Req() req: Request,
    @Res({ passthrough: true }) res: Response,
  ): Promise<Success<OperationResultDto[]>> {
    const operations = operationsOf(body);
    return await once(this.db, { req, res }, async (tx) => {
      const projects = tx ? createProjectsFactory(tx) : this.projects;
      const writing = projects.writeProjects(operations, authorOf(req, res));
      const results = await writing.catch(throwAsProblem);
      return { body: success(results.map(resultOf)) };
    });
  }
}
