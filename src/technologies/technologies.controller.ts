import { Get, Inject, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import type { TechnologiesFactory, TechnologyUse } from '../db/factories/technologies.factory.js';
import { ApiResourceProblems, ApiSuccess } from '../http/contract/api-answers.js';
import { type Success, success } from '../http/answers/envelope.js';
import { ResourceController } from '../http/contract/resource-controller.js';
import { ListTechnologiesQuery, TechnologyDto } from './dto/technology.dto.js';
import { TECHNOLOGIES_FACTORY } from './technologies.tokens.js';

@ApiTags('technologies')
@ResourceController('technologies')
export class TechnologiesController {
  constructor(@Inject(TECHNOLOGIES_FACTORY) private readonly technologies: TechnologiesFactory) {}

  @Get()
  @ApiOperation({
    operationId: 'listTechnologies',
    summary: 'List the technologies in use',
    description: 'With how many projects use each: the most used first, those alike by name.',
  })
  @ApiSuccess(200, { description: 'The technologies.', data: [TechnologyDto] })
  @ApiResourceProblems()
  async list(@Query() { q, limit }: ListTechnologiesQuery): Promise<Success<TechnologyUse[]>> {
    return success(await this.technologies.getTechnologies(q, limit));
  }
}
