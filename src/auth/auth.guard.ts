import {
  type CanActivate,
  type ExecutionContext,
  HttpException,
  Inject,
  Injectable,
  Logger,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request, Response } from 'express';
import { Problem, type ProblemCode } from '../http/problems/problem.js';
import { requestIdOf } from '../http/server/request-id.js';
import { AUTH_OPTIONS, type AuthOptions } from './auth-options.js';
import { bearerToken } from './bearer-token.js';
import { type Caller, NotRecognised, type Scope } from './caller.js';
import { isPublic } from './public.decorator.js';

/**
 * Lets a request pass if its bearer token belongs to a caller who has the scope that the method
 * needs, and leaves the caller in `req.user`. The answers are those of RFC 6750, section 3.
 *
 * It is meant as a global guard: those run before the guards of a controller, so that nothing of a
 * stranger's body or query is looked at. What is neither HTTP nor @Public() is refused.
 */
@Injectable()
export class AuthGuard implements CanActivate {
  private readonly logger = new Logger('Authentication');

  constructor(
    @Inject(AUTH_OPTIONS) private readonly options: AuthOptions,
    @Inject(Reflector) private readonly reflector: Reflector,
  ) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    if (isPublic(this.reflector, context)) return true;
    if (context.getType() !== 'http') return false;
    const req = context.switchToHttp().getRequest<Request>();
    const res = context.switchToHttp().getResponse<Response>();
    const token = this.tokenOf(req, res);
    try {
      const caller = this.options.recognise(token);
      return caller instanceof Promise
        ? caller.then(
            (found) => this.admit(found, req, res),
            (error: unknown) => this.failed(error, req, res),
          )
        : this.admit(caller, req, res);
    } catch (error) {
      return this.failed(error, req, res);
    }
  }

  private tokenOf(req: Request, res: Response): string {
    const found = bearerToken(req);
    if (typeof found === 'string') return found;
    switch (found.fault) {
      case 'none':
        return this.refuse(res, 'unauthorized', 'The request needs a bearer token.', '');
      case 'malformed':
        return this.refuseToken(res);
      case 'several':
        return this.refuse(
          res,
          'bad_request',
          'There must be one Authorization header.',
          'error="invalid_request"',
        );
    }
  }

  private admit(caller: Caller | undefined, req: Request, res: Response): true {
    if (!caller) return this.refuseToken(res);
    const needed: Scope = req.method === 'GET' || req.method === 'HEAD' ? 'read' : 'write';
    if (!caller.scopes.has(needed)) {
      const scope = `${this.options.realm}:${needed}`;
      const parameters = `error="insufficient_scope", scope="${scope}"`;
      return this.refuse(res, 'insufficient_scope', `This needs the scope ${scope}.`, parameters);
    }
    (req as Request & { user: Caller }).user = caller;
    endStreamAtExpiry(caller, req, res);
    return true;
  }

  private failed(error: unknown, req: Request, res: Response): never {
    if (error instanceof HttpException || error instanceof Problem) throw error;
    if (error instanceof NotRecognised) {
      this.logger.debug({ reason: error.message, requestId: requestIdOf(req, res) });
      return this.refuseToken(res);
    }
    const problem = new Problem(
      'authentication_unavailable',
      'It cannot be verified at the moment who sends the request.',
    );
    throw asHttpException(Object.assign(problem, { cause: error }));
  }

  private refuseToken(res: Response): never {
    return this.refuse(
      res,
      'unauthorized',
      'The bearer token is not valid.',
      'error="invalid_token"',
    );
  }

  private refuse(res: Response, code: ProblemCode, detail: string, parameters: string): never {
    const realm = `Bearer realm="${this.options.realm}"`;
    res.setHeader('WWW-Authenticate', parameters ? `${realm}, ${parameters}` : realm);
    throw asHttpException(new Problem(code, detail));
  }
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** Clocks differ: a token may have expired a moment before its stream begins. */
const SHORTEST_STREAM_MS = 5000;

/** A stream of events may outlive the token that it was opened with: it ends then, and its client comes back with a new one. */
function endStreamAtExpiry({ expiresAt }: Caller, req: Request, res: Response): void {
  if (expiresAt === undefined || !req.headers.accept?.includes('text/event-stream')) return;
  const timer = setTimeout(
    () => res.headersSent && res.end(),
    Math.min(Math.max(expiresAt - Date.now(), SHORTEST_STREAM_MS), LONGEST_TIMER_MS),
  ).unref();
  res.once('close', () => clearTimeout(timer));
}

/** A host's own routes may be without the ProblemFilter: Nest answers this one with its status there. */
function asHttpException(problem: Problem): HttpException {
  return new HttpException(problem.detail, problem.status, { cause: problem });
}
