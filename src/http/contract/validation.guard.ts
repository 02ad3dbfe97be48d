import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import { consistencyTokenOf } from '../answers/consistency-token.js';
import { type ValidatedPart, validatedParts } from './validated-parts.js';
import { validated } from './validation.js';

/**
 * Validates the consistency token of a read, the body and the query, and replaces the body and the query
 * by DTO instances. It is a guard because guards run before all pipes: a global pipe of a host
 * application could drop unknown fields silently, and would report faults in its own format.
 */
@Injectable()
export class ValidationGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const req = context.switchToHttp().getRequest<Request>();
    if (req.method === 'GET' || req.method === 'HEAD') consistencyTokenOf(req);
    const parts = validatedParts(context.getHandler());
    if (parts.length === 0) return true;
    const pending = parts.map((part) => validate(part, req)).filter((made) => made !== undefined);
    return pending.length === 0 || Promise.all(pending).then(() => true);
  }
}

function validate({ type, metatype }: ValidatedPart, req: Request): Promise<void> | undefined {
  const made = validated(metatype, req[type]);
  if (made instanceof Promise) return made.then((value) => put(req, type, value));
  put(req, type, made);
}

function put(req: Request, type: ValidatedPart['type'], value: unknown): void {
  Object.defineProperty(req, type, { value, writable: true, configurable: true }); // Express defines `query` only as a getter
}
