import { applyDecorators, Controller, UseFilters, UseGuards, UsePipes } from '@nestjs/common';
import { ProblemFilter } from './problem.filter.js';
import { RequestGuard } from './request.guard.js';
import { RequestValidationPipe } from './validation.pipe.js';

/**
 * A controller whose every route keeps the HTTP contract, in this application and in any host that
 * imports its module: the request checked, its body and query validated, its failures answered as
 * problems. Routes say what they read with @ApiConsumes, and it is all they read.
 */
export function ResourceController(path: string): ClassDecorator {
  return applyDecorators(
    Controller(path),
    UseGuards(RequestGuard),
    UsePipes(RequestValidationPipe),
    UseFilters(ProblemFilter),
  );
}
