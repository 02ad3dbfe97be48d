import { applyDecorators, Controller, UseFilters, UseGuards } from '@nestjs/common';
import { BodyGuard } from './body.guard.js';
import { consistent, WritesTo } from './consistency.js';
import { ProblemFilter } from './problem.filter.js';
import { RequestGuard } from './request.guard.js';
import { type ControllerClass, enhancersOf } from '../internals/nest.js';
import { takeOverValidation } from './validated-parts.js';
import { ValidationGuard } from './validation.guard.js';

interface ResourceOptions {
  /** The injection token of the database that the routes write to. */
  database?: symbol;
}

/**
 * Declares a controller whose routes all follow the HTTP contract, in this application and in any host
 * that imports its module: requests are checked, bodies and queries validated, and failures answered as
 * problems. A route reads only the media types of its @ApiConsumes. If the database has replicas, writes
 * answer X-Consistency-Token.
 */
export function ResourceController(
  path: string,
  { database }: ResourceOptions = {},
): ClassDecorator {
  return applyDecorators(
    Controller(path),
    UseGuards(RequestGuard, BodyGuard, ValidationGuard),
    UseFilters(ProblemFilter),
    completeRoutes,
    ...(database ? [WritesTo(database)] : []),
  );
}

/**
 * Gives the routes that a class declares itself what the routes of its base class have: validation by the DTO classes
 * of its parameters, and consistency tokens. Throws TypeError if neither the class nor one that it extends has
 * @ResourceController.
 */
export function completeRoutes(controller: ControllerClass & { name: string }): void {
  if (!enhancersOf(controller).includes(ValidationGuard))
    throw new TypeError(
      `${controller.name} must extend EntityController, or have @ResourceController: otherwise nothing validates its requests.`,
    );
  takeOverValidation(controller);
  consistent(controller);
}
