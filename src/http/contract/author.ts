import type { Request, Response } from 'express';
import type { Author } from '../../db/entity/author.js';
import { callerOf } from '../answers/caller.js';
import { requestIdOf } from '../server/request-id.js';

/** Returns the author of the writes of this request, for the history. */
export function authorOf(req: Request, res: Response): Author {
  return { actor: callerOf(req), requestId: requestIdOf(req, res) };
}
