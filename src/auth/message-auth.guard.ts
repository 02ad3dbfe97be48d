import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { ModuleRef, Reflector } from '@nestjs/core';
import { messageContextOf } from '../http/messages/message-request.js';
import { AUTH_OPTIONS, type AuthOptions } from './auth-options.js';
import { AuthGuard } from './auth.guard.js';

/**
 * Authenticates messages in an application that has AuthModule, also if the microservice is connected
 * without `inheritAppConfig`: then Nest does not run global guards.
 */
@Injectable()
export class MessageAuthGuard implements CanActivate {
  /** Created with the first message, because not every module exists when this class is constructed. */
  private guard: AuthGuard | 'none' | undefined;

  constructor(
    @Inject(ModuleRef) private readonly modules: ModuleRef,
    @Inject(Reflector) private readonly reflector: Reflector,
  ) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    if (messageContextOf(context).user !== undefined) return true;
    const guard = (this.guard ??= this.find());
    return guard === 'none' || guard.canActivate(context);
  }

  private find(): AuthGuard | 'none' {
    const options = optionsIn(this.modules);
    return options ? new AuthGuard(options, this.reflector) : 'none';
  }
}

/** Returns the options of AuthModule; undefined if no module imports it. */
function optionsIn(modules: ModuleRef): AuthOptions | undefined {
  try {
    return modules.get<AuthOptions>(AUTH_OPTIONS, { strict: false });
  } catch {
    return undefined;
  }
}
