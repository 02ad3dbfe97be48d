import { Controller, Get, UseFilters, UseGuards } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { Public } from '../auth/public.decorator.js';
import { ApiProblems, ApiSuccess } from '../http/contract/api-answers.js';
import { type Success, success } from '../http/answers/envelope.js';
import { Problem } from '../http/problems/problem.js';
import { ProblemFilter } from '../http/problems/problem.filter.js';
import { BodyGuard } from '../http/contract/body.guard.js';
import { RequestGuard } from '../http/contract/request.guard.js';
import { HealthDto } from './health.dto.js';
import { Readiness } from './readiness.js';

/** For the platform that runs the service; outside the API's prefix and its versions. */
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
    summary: 'Whether the process answers: do not restart it',
  })
  @ApiSuccess(200, { description: 'Always, whatever the database does.', data: HealthDto })
  @ApiProblems('validation_failed', 'invalid_encoding', 'not_acceptable')
  live(): Success<HealthDto> {
    return success({ status: 'up' });
  }

  @Get('ready')
  @ApiOperation({ operationId: 'getReadiness', summary: 'Whether requests may be sent here' })
  @ApiSuccess(200, {
    description: 'The database answers and its migrations are those of this code.',
    data: HealthDto,
  })
  @ApiProblems('validation_failed', 'invalid_encoding', 'not_acceptable', 'not_ready')
  async ready(): Promise<Success<HealthDto>> {
    return upUnless(await this.readiness.faults());
  }

  @Get('startup')
  @ApiOperation({
    operationId: 'getStartup',
    summary: 'Whether the service has been ready once',
    description: 'From then on ask the other two.',
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
