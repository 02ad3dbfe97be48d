import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import { Problem } from '../problems/problem.js';
import { isUuid } from '../../db/driver/text-format.js';

/**
 * The `:id` of the path: a UUID of any version (RFC 9562), in lower case as the database returns it.
 * Throws `invalid_id`. It is not a pipe because a pipe costs five promises for each parameter.
 */
export const Id = createParamDecorator((_data: unknown, context: ExecutionContext): string => {
  const { id } = context.switchToHttp().getRequest<Request<{ id: string }>>().params;
  if (!isUuid(id)) throw new Problem('invalid_id', 'The id in the path must be a UUID.');
  return id.toLowerCase();
});
