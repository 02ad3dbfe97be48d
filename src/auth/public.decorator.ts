import { applyDecorators, type ExecutionContext, SetMetadata } from '@nestjs/common';
import type { Reflector } from '@nestjs/core';
import { ApiSecurity } from '@nestjs/swagger';

const IS_PUBLIC = 'auth/public';

/** Allows requests without authentication to a route, or to all routes of a controller. */
export function Public() {
  return applyDecorators(SetMetadata(IS_PUBLIC, true), ApiSecurity({}));
}

const known = new WeakMap<object, boolean>();

/** True if a route is marked @Public(). The result is cached for each handler. */
export function isPublic(reflector: Reflector, context: ExecutionContext): boolean {
  const handler = context.getHandler();
  let found = known.get(handler);
  if (found === undefined) {
    const targets = [handler, context.getClass()];
    found = reflector.getAllAndOverride<true | undefined>(IS_PUBLIC, targets) ?? false;
    known.set(handler, found);
  }
  return found;
}
