import { Body, Inject, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import type { Db } from '../db/connection.js';
import {
  createProjectsFactory,
  type ProjectsFactory,
} from '../db/factories/projects/projects.factory.js';
import { authorOf } from '../http/contract/author.js';
import { type Success, success } from '../http/answers/envelope.js';
import { withIdempotencyKey } from '../http/answers/idempotency.js';
import { Endpoint } from '../http/contract/endpoint.js';
import { ResourceController } from '../http/contract/resource-controller.js';
import { OperationResultDto, ProjectBatchDto } from './dto/project-batch.dto.js';
import { operationsOf, resultOf, throwAsProblem } from './project-batch.js';
import { PROJECTS_DATABASE, PROJECTS_FACTORY } from './projects.tokens.js';

@ApiTags('projects')
@ResourceController('projects', { database: PROJECTS_DATABASE })
export class BatchController {
  constructor(
    @Inject(PROJECTS_FACTORY) private readonly projects: ProjectsFactory,
    @Inject(PROJECTS_DATABASE) private readonly db: Db,
  ) {}

  @Endpoint({
    method: 'POST',
    path: 'batch',
    operationId: 'batchProjects',
    summary: 'Create, replace and remove projects in one transaction',
    description:
      'Executes all operations in one transaction, or none. `data` contains a result for each operation, in the same order. If an operation fails, nothing is written: the answer has the code of the first failed operation, and `errors` lists all failed ones. An operation fails if the project to remove does not exist (`not_found`), or if the project has none of the ETags in `ifMatch` (`version_mismatch`). An id may occur in only one operation.',
    body: ProjectBatchDto,
    answers: {
      200: {
        description: 'The result of each operation.',
        data: [OperationResultDto],
        replayed: true,
      },
    },
    problems: ['not_found', 'version_mismatch', 'still_referenced'],
    idempotent: true,
  })
  async batch(
    @Body() body: ProjectBatchDto,
    @Req() req: Request,
    @Res({ passthrough: true }) res: Response,
  ): Promise<Success<OperationResultDto[]>> {
    const operations = operationsOf(body);
    return await withIdempotencyKey(this.db, { req, res }, async (tx) => {
      const projects = tx ? createProjectsFactory(tx) : this.projects;
      const writing = projects.writeProjects(operations, authorOf(req, res));
      const results = await writing.catch(throwAsProblem);
      return { body: success(results.map(resultOf)) };
    });
  }
}
