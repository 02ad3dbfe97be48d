import { Get, Inject, Query, Req } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request } from 'express';
import type { Db } from '../db/connection.js';
import { InjectDatabase } from '../db/database.module.js';
import {
  createTechnologiesFactory,
  type TechnologiesFactory,
  type TechnologyUse,
} from '../db/factories/technologies.factory.js';
import { type Reads, readsOn } from '../db/replicas/reads.js';
import { ApiResourceProblems, ApiSuccess } from '../http/contract/api-answers.js';
import { consistencyTokenOf } from '../http/answers/consistency-token.js';
import { type Success, success } from '../http/answers/envelope.js';
import { ResourceController } from '../http/contract/resource-controller.js';
import { ListTechnologiesQuery, TechnologyDto } from './dto/technology.dto.js';
import { TECHNOLOGIES_FACTORY } from './technologies.tokens.js';

@ApiTags('technologies')
@ResourceController('technologies')
export class TechnologiesController {
  private readonly reads: Reads<TechnologiesFactory>;

  constructor(
    @Inject(TECHNOLOGIES_FACTORY) technologies: TechnologiesFactory,
    @InjectDatabase() db: Db,
  ) {
    this.reads = readsOn(db, technologies, createTechnologiesFactory);
  }

  @Get()
  @ApiOperation({
    operationId: 'listTechnologies',
    summary: 'List the technologies in use',
    description:
      'Lists the technologies with the number of projects that use them: the most used first, equal numbers by name without regard to case.',
  })
  @ApiSuccess(200, { description: 'The technologies.', data: [TechnologyDto] })
  @ApiResourceProblems()
  async list(
    @Query() { q, limit }: ListTechnologiesQuery,
    @Req() req: Request,
  ): Promise<Success<TechnologyUse[]>> {
    const reading = this.reads.read(consistencyTokenOf(req), (technologies) =>
      technologies.getTechnologies(q, limit),
    );
    return success(await reading);
  }
}
