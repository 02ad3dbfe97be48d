import {
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  HttpException,
  Logger,
} from '@nestjs/common';
import type { Request, Response } from 'express';
import { type Observable, throwError } from 'rxjs';
import { errorCodeOf } from '../../db/errors.js';
import { explainError } from '../../db/explain-error.js';
import {
  type Problem,
  PROBLEM_MEDIA_TYPE,
  problemBody,
  problemHeaders,
} from '../problems/problem.js';
import { setApiHeaders } from '../answers/api-headers.js';
import { publicPathOf } from '../answers/public-path.js';
import { messageContextOf, messageRequestId, noteFailure } from '../messages/message-request.js';
import { answeredToComeBack } from '../streams/event-stream.js';
import { linger } from '../server/linger.js';
import { sendRefusal } from '../server/overload.js';
import { requestIdOf } from '../server/request-id.js';
import { toProblem } from '../problems/to-problem.js';

/** Answers every failure as a problem, and logs the failures of the service itself. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('Http');

  catch(exception: unknown, host: ArgumentsHost): void | Observable<never> {
    if (host.getType() === 'rpc') return this.answerMessage(exception, host);
    if (host.getType() !== 'http') throw exception;
    const req = host.switchToHttp().getRequest<Request>();
    const res = host.switchToHttp().getResponse<Response>();
    if (res.writableEnded) return; // a guard has answered already, for example with a redirect
    if (exception instanceof HttpException && exception.getStatus() < 400) {
      return void res.status(exception.getStatus()).json(exception.getResponse());
    }
    const problem = toProblem(exception, req);
    const requestId = requestIdOf(req, res);
    // The readiness check logs its own changes, so failed probes are not logged here.
    const isOurs = problem.status >= 500 && problem.code !== 'not_ready';
    if (isOurs) this.log(problem, exception, requestId);
    // An answer that has begun cannot become a problem. Break the connection, so that the client sees that the answer
    // is incomplete.
    if (res.headersSent) return void res.destroy();
    setApiHeaders(res);
    if (answeredToComeBack(req, res, problem)) return;
    const headers = problemHeaders(problem);
    if (res.hasHeader('Retry-After')) delete headers['Retry-After'];
    if (problem.code === 'method_not_allowed' && req.method === 'OPTIONS') {
      return void res.set(headers).status(204).end();
    }
    linger(req);
    const body = problemBody(problem, publicPathOf(req), requestId);
    // Express would add a charset, which this type does not have.
    res.status(problem.status).set(headers).setHeader('Content-Type', PROBLEM_MEDIA_TYPE);
    const send = () => void res.send(Buffer.from(JSON.stringify(body)));
    if (problem.status < 500) sendRefusal(res, send);
    else send();
  }

  /** Answers with the same body as over HTTP. If this threw, the sender would never get an answer. */
  private answerMessage(exception: unknown, host: ArgumentsHost): Observable<never> {
    const problem = toProblem(exception);
    const context = messageContextOf(host);
    const requestId = messageRequestId(context, host.switchToRpc().getData());
    noteFailure(context, problem);
    if (problem.status >= 500) this.log(problem, exception, requestId);
    const body = problemBody(problem, '', requestId);
    return throwError(() => body);
  }

  /** Logs code and stack of database errors, not their messages, which contain SQL and values. */
  private log(problem: Problem, exception: unknown, requestId: string): void {
    const cause = errorCodeOf(problem.cause ?? exception);
    if (problem.status === 503) {
      const { reason, remedy } = explainError(problem.cause ?? exception) ?? {};
      return this.logger.warn({ code: problem.code, cause, requestId, reason, remedy });
    }
    const error = rootOf(exception);
    this.logger.error({
      code: problem.code,
      cause,
      requestId,
      error: error.name,
      ...(cause === undefined && { message: error.message }),
      stack: framesOf(error),
    });
  }
}

/** Returns the innermost cause. Errors that wrap it, such as drizzle's, repeat SQL and values. */
function rootOf(exception: unknown): Error {
  let root = exception;
  for (let depth = 0; root instanceof Error && root.cause && depth < 5; depth++) root = root.cause;
  return root instanceof Error ? root : new Error('The thrown value is not an Error.');
}

/** Returns the stack frames without the message, which may itself look like a frame. */
function framesOf({ stack = '', message }: Error): string[] {
  const lines = stack.replace(message, '').split('\n');
  return lines.map((line) => line.trim()).filter((line) => line.startsWith('at '));
}
