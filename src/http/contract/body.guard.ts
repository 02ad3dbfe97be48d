import { setTimeout } from 'node:timers/promises';
import {
  type CanActivate,
  type ExecutionContext,
  Inject,
  Injectable,
  Optional,
} from '@nestjs/common';
import type { Request, RequestHandler, Response } from 'express';
import { notValid, Problem } from '../problems/problem.js';
import { JSON_MEDIA_TYPES, jsonBody, jsonIn } from '../server/body-parser.js';
import { checkContent } from './content.js';
import { mediaTypesOf, readsBodyItself } from './route-metadata.js';

/** The injection token of the maximum size of a JSON body, such as `1mb`. Without a provider it is 1mb. */
export const BODY_LIMIT = Symbol('BODY_LIMIT');

/**
 * Checks the media type of a body, parses JSON if the application has not, and checks that the body is
 * an object that can be stored. It is a guard so that the application's guards run first: the body of
 * an unauthenticated request is not parsed. Faults of a body are answered as problems.
 *
 * Throws `unsupported_media_type`, `payload_too_large`, `invalid_json`, `invalid_encoding`,
 * `validation_failed`.
 */
@Injectable()
export class BodyGuard implements CanActivate {
  readonly #readJson: RequestHandler;

  constructor(@Optional() @Inject(BODY_LIMIT) limit: string = '1mb') {
    this.#readJson = jsonBody(limit);
  }

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const req = context.switchToHttp().getRequest<Request>();
    const res = context.switchToHttp().getResponse<Response>();
    const mediaTypes = mediaTypesOf(context.getHandler());
    if (readsBodyItself(context.getHandler())) return isOfType(req, mediaTypes);
    if (!mayHaveBody(req)) return true;
    if (mediaTypes.length === 0 && mayBeEmpty(req)) return isEmpty(req);
    isOfType(req, mediaTypes.length > 0 ? mediaTypes : JSON_MEDIA_TYPES, mediaTypes);
    if (req.body === undefined) return this.read(req, res).then(() => isAllowed(req, mediaTypes));
    // A body parser of the application may have left the body as text or as bytes.
    if (typeof req.body === 'string' || Buffer.isBuffer(req.body))
      req.body = jsonIn(Buffer.from(req.body as string));
    return isAllowed(req, mediaTypes);
  }

  private read(req: Request, res: Response): Promise<void> {
    return new Promise((resolve, reject) => {
      void this.#readJson(req, res, (error?: unknown) => {
        if (error instanceof Error) reject(error);
        else resolve();
      });
    });
  }
}

function mayHaveBody({ headers }: Request): boolean {
  const length = headers['content-length'];
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/** True if a body without a media type and without a length may turn out to be empty. */
function mayBeEmpty({ headers, body }: Request): boolean {
  const { 'content-type': type, 'content-length': length } = headers;
  return type === undefined && length === undefined && body === undefined;
}

/** The end of an empty body arrives with the headers or soon after them. */
const LONGEST_WAIT_MS = 1000;

/** Checks that the body is empty. Throws `unsupported_media_type` at the first byte, or if no end arrives in time. */
async function isEmpty(req: Request): Promise<true> {
  const chunks = req.iterator({ destroyOnReturn: false });
  const waiting = new AbortController();
  const tooLate = setTimeout(LONGEST_WAIT_MS, { done: false }, { signal: waiting.signal });
  const { done } = await Promise.race([chunks.next(), tooLate.catch(() => ({ done: false }))]);
  waiting.abort();
  void chunks.return?.(undefined).catch(() => undefined);
  if (!done) throw unsupportedMediaType(req, []);
  return true;
}

/** Checks the media type. A missing body is refused, otherwise an import without one would count as an empty file. */
function isOfType(
  req: Request,
  types: readonly string[],
  documented: readonly string[] = types,
): true {
  const type = req.headers['content-type']?.split(';', 1)[0]!.trim().toLowerCase();
  if (type === undefined || !types.includes(type)) throw unsupportedMediaType(req, documented);
  return true;
}

/** The answer lists the media types that the route reads (RFC 9110 15.5.16, RFC 5789 2.2). */
function unsupportedMediaType(req: Request, mediaTypes: readonly string[]): Problem {
  if (mediaTypes.length === 0) {
    return new Problem('unsupported_media_type', 'This route reads no body.');
  }
  const Accept = mediaTypes.join(', ');
  const headers = { Accept, ...(req.method === 'PATCH' && { 'Accept-Patch': Accept }) };
  return new Problem('unsupported_media_type', `This route reads ${Accept}.`, { headers });
}

function isAllowed(req: Request, mediaTypes: readonly string[]): true {
  const body: unknown = req.body;
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw notValid([{ path: '', message: 'the body must be a JSON object' }]);
  }
  checkContent(body);
  const [name] = Object.keys(body);
  if (mediaTypes.length === 0 && name !== undefined) {
    throw notValid([{ path: name, message: 'there is no such field' }]);
  }
  return true;
}
