import { type ExecutionContext, SetMetadata } from '@nestjs/common';
import type { Reflector } from '@nestjs/core';
import type { Scope } from './caller.js';

const READS = 'auth/reads';

/** Marks a message handler that only reads. One without the mark needs the scope `write`. */
export const Reads = () => SetMetadata(READS, true);

export function scopeOfMessage(reflector: Reflector, context: ExecutionContext): Scope {
  return reflector.get<true | undefined>(READS, context.getHandler()) ? 'read' : 'write';
}
