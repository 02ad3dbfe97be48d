import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import { type ValidatedPart, validatedParts } from './route-metadata.js';
import { validated } from './validation.js';

/**
 * Puts what `validated` makes of the body and of the query in their places. A guard, because guards
 * run before all pipes: a ValidationPipe that a host application has for all of its routes would
 * drop unknown fields without a word and answer faults in its own way.
 */
@Injectable()
export class ValidationGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const parts = validatedParts(context.getClass(), context.getHandler());
    if (parts.length === 0) return true;
    return this.validate(parts, context.switchToHttp().getRequest<Request>());
  }

  private async validate(parts: ValidatedPart[], req: Request): Promise<boolean> {
    for (const { type, metatype } of parts) {
      const value = await validated(metatype, req[type]);
      Object.defineProperty(req, type, { value, writable: true, configurable: true }); // Express only computes `query`
    }
    return true;
  }
}
