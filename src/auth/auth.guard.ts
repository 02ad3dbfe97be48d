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
import { messageContextOf, messageRequestId, metaOf } from '../http/messages/message-request.js';
import { Problem, type ProblemCode } from '../http/problems/problem.js';
import { requestIdOf } from '../http/server/request-id.js';
import { AUTH_OPTIONS, type AuthOptions } from './auth-options.js';
import { bearerToken } from './bearer-token.js';
import { type Caller, NotRecognised, type Scope } from './caller.js';
import { isPublic } from './public.decorator.js';
import { scopeOfMessage } from './scope.decorator.js';

/**
 * Admits a request or a message if its bearer token belongs to a caller with the required scope, and
 * stores the caller in `req.user`, or in `user` of the message's context. The answers to refused
 * requests follow RFC 6750, section 3.
 *
 * Use it as a global guard: global guards run before those of a controller, so the body and the query of
 * an unauthenticated request are not parsed. Other transports are refused unless the handler is @Public().
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
    const entry = this.entryOf(context);
    if (!entry) return false;
    const token = this.tokenOf(entry);
    try {
      const caller = this.options.recognise(token);
      return caller instanceof Promise
        ? caller.then(
            (found) => this.admit(found, entry),
            (error: unknown) => this.failed(error, entry),
          )
        : this.admit(caller, entry);
    } catch (error) {
      return this.failed(error, entry);
    }
  }

  private entryOf(context: ExecutionContext): Entry | undefined {
    const type = context.getType();
    if (type === 'http') return requestEntry(context);
    if (type !== 'rpc') return undefined;
    return messageEntry(context, scopeOfMessage(this.reflector, context));
  }

  private tokenOf(entry: Entry): string {
    const { token } = entry;
    if (typeof token === 'string') return token;
    switch (token.fault) {
      case 'none':
        return this.refuse(entry, 'unauthorized', 'The request needs a bearer token.', '');
      case 'malformed':
        return this.refuseToken(entry);
      case 'several':
        return this.refuse(
          entry,
          'bad_request',
          'The request must have exactly one Authorization header.',
          'error="invalid_request"',
        );
    }
  }

  private admit(caller: Caller | undefined, entry: Entry): true {
    if (!caller) return this.refuseToken(entry);
    if (!caller.scopes.has(entry.needed)) {
      const scope = `${this.options.realm}:${entry.needed}`;
      const parameters = `error="insufficient_scope", scope="${scope}"`;
      return this.refuse(
        entry,
        'insufficient_scope',
        `The caller needs the scope ${scope}.`,
        parameters,
      );
    }
    entry.admit(caller);
    return true;
  }

  private failed(error: unknown, entry: Entry): never {
    if (error instanceof HttpException || error instanceof Problem) throw error;
    if (error instanceof NotRecognised) {
      this.logger.debug({ reason: error.message, requestId: entry.requestId() });
      return this.refuseToken(entry);
    }
    const problem = new Problem(
      'authentication_unavailable',
      'The service cannot verify the caller at the moment. Try again later.',
    );
    throw asHttpException(Object.assign(problem, { cause: error }));
  }

  private refuseToken(entry: Entry): never {
    return this.refuse(
      entry,
      'unauthorized',
      'The bearer token is not valid.',
      'error="invalid_token"',
    );
  }

  private refuse(entry: Entry, code: ProblemCode, detail: string, parameters: string): never {
    const realm = `Bearer realm="${this.options.realm}"`;
    entry.challenge(parameters ? `${realm}, ${parameters}` : realm);
    throw asHttpException(new Problem(code, detail));
  }
}

/** A request or a message that has to be authenticated. */
interface Entry {
  token: string | { fault: 'none' | 'malformed' | 'several' };
  needed: Scope;
  requestId(): string;
  /** Sets WWW-Authenticate; does nothing for a message. */
  challenge(value: string): void;
  admit(caller: Caller): void;
}

function requestEntry(context: ExecutionContext): Entry {
  const req = context.switchToHttp().getRequest<Request>();
  const res = context.switchToHttp().getResponse<Response>();
  return {
    token: bearerToken(req),
    needed: req.method === 'GET' || req.method === 'HEAD' ? 'read' : 'write',
    requestId: () => requestIdOf(req, res),
    challenge: (value) => res.setHeader('WWW-Authenticate', value),
    admit: (caller) => {
      (req as Request & { user: Caller }).user = caller;
      endStreamAtExpiry(caller, req, res);
    },
  };
}

function messageEntry(context: ExecutionContext, needed: Scope): Entry {
  const message: unknown = context.switchToRpc().getData();
  const messageContext = messageContextOf(context);
  return {
    token: metaOf(message).token ?? { fault: 'none' },
    needed,
    requestId: () => messageRequestId(messageContext, message),
    challenge: () => undefined,
    admit: (caller) => (messageContext.user = caller),
  };
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** The minimum length of a stream. Clocks differ, so a token may expire just before its stream begins. */
const SHORTEST_STREAM_MS = 5000;

/** Ends an event stream when the token that opened it expires. Its client then reconnects with a new token. */
function endStreamAtExpiry({ expiresAt }: Caller, req: Request, res: Response): void {
  if (expiresAt === undefined || !req.headers.accept?.includes('text/event-stream')) return;
  const timer = setTimeout(
    () => res.headersSent && res.end(),
    Math.min(Math.max(expiresAt - Date.now(), SHORTEST_STREAM_MS), LONGEST_TIMER_MS),
  ).unref();
  res.once('close', () => clearTimeout(timer));
}

/** Wraps the problem, so that Nest answers its status on routes of a host that have no ProblemFilter. */
function asHttpException(problem: Problem): HttpException {
  return new HttpException(problem.detail, problem.status, { cause: problem });
}
