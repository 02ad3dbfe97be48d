import { Controller, Get, UseFilters, UseGuards } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { Public } from '../auth/public.decorator.js';
import { ApiProblems, ApiSuccess } from '../http/contract/api-answers.js';
import { type Success, success } from '../http/answers/envelope.js';
import { Problem } from '../http/problems/problem.js';
import { ProblemFilter } from '../http/contract/problem.filter.js';
import { BodyGuard } from '../http/contract/body.guard.js';
import { RequestGuard } from '../http/contract/request.guard.js';
import { HealthDto } from './health.dto.js';
import { Readiness } from './readiness.js';

/** The health checks for the platform that runs the service. Their paths have no API prefix and no version. */
@ApiTags('health')
@Controller('health')
@Public()
@UseGuards(RequestGuard, BodyGuard)
@UseFilters(ProblemFilter)
export class HealthController {
  constructor(private readonly readiness: Readiness) {}

  @Get('live')
  @ApiOperation({
    operationId: 'getLiveness',
    summary: 'Liveness: the process answers and needs no restart',
  })
  @ApiSuccess(200, { description: 'Always, independent of the database.', data: HealthDto })
  @ApiProblems('validation_failed', 'invalid_encoding', 'not_acceptable')
  live(): Success<HealthDto> {
    return success({ status: 'up' });
  }

  @Get('ready')
  @ApiOperation({
    operationId: 'getReadiness',
    summary: 'Readiness: the instance can take requests',
  })
  @ApiSuccess(200, {
    description: 'The database answers and has all migrations of this version.',
    data: HealthDto,
  })
  @ApiProblems('validation_failed', 'invalid_encoding', 'not_acceptable', 'not_ready')
  async ready(): Promise<Success<HealthDto>> {
    return upUnless(await this.readiness.faults());
  }

  @Get('startup')
  @ApiOperation({
    operationId: 'getStartup',
    summary: 'Startup: the instance has been ready once',
    description: 'After the first success use the other two checks.',
  })
  @ApiSuccess(200, { description: 'The service has started.', data: HealthDto })
  @ApiProblems('validation_failed', 'invalid_encoding', 'not_acceptable', 'not_ready')
  async startup(): Promise<Success<HealthDto>> {
    return upUnless(this.readiness.hasStarted ? [] : await this.readiness.faults());
  }
}

function upUnless(faults: { path: string; message: string }[]): Success<HealthDto> {
  if (faults.length === 0) return success({ status: 'up' });
  throw new Problem('not_ready', 'The service is not ready for requests; see errors.', {
    errors: faults,
  });
}
