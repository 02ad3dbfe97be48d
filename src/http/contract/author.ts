import type { Request, Response } from 'express';
import type { Author } from '../../db/entity/author.js';
import { requestIdOf } from '../server/request-id.js';

/** What guards leave on a request for whoever they have recognized. */
interface Recognized {
  user?: unknown;
}

/**
 * Who sends a request, as guards have left it in `req.user`, or in the `user` of the context of a
 * message: that text, or its `sub`, `id` or `name`, the first that it has. Empty where nobody was
 * recognized.
 */
export function callerOf(req: object): string {
  const { user } = req as Recognized;
  if (typeof user === 'string') return user;
  if (typeof user !== 'object' || user === null) return '';
  const { sub, id, name } = user as Record<string, unknown>;
  const caller = sub ?? id ?? name;
  return typeof caller === 'string' || typeof caller === 'number' ? String(caller) : '';
}

/** Who writes by this request, for the history. */
export function authorOf(req: Request, res: Response): Author {
  return { actor: callerOf(req), requestId: requestIdOf(req, res) };
}
