import { applyDecorators, Controller, UseFilters, UseGuards } from '@nestjs/common';
import { BodyGuard } from './body.guard.js';
import { consistent, WritesTo } from './consistency.js';
import { ProblemFilter } from '../problems/problem.filter.js';
import { RequestGuard } from './request.guard.js';
import { takeOverValidation } from './validated-parts.js';
import { ValidationGuard } from './validation.guard.js';

interface ResourceOptions {
  /** The injection token of the database that the routes write to. */
  database?: symbol;
}

/**
 * A controller whose every route keeps the HTTP contract, in this application and in any host that
 * imports its module: the request checked, its body and query validated, its failures answered as
 * problems. Routes say what they read with @ApiConsumes, and it is all they read. Where the database has
 * replicas, writes answer X-Consistency-Token.
 */
export function ResourceController(
  path: string,
  { database }: ResourceOptions = {},
): ClassDecorator {
  return applyDecorators(
    Controller(path),
    UseGuards(RequestGuard, BodyGuard, ValidationGuard),
    UseFilters(ProblemFilter),
    takeOverValidation,
    consistent,
    ...(database ? [WritesTo(database)] : []),
  );
}
