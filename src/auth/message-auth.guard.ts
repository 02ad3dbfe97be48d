import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { ModuleRef, Reflector } from '@nestjs/core';
import { messageContextOf } from '../http/messages/message-request.js';
import { AUTH_OPTIONS, type AuthOptions } from './auth-options.js';
import { AuthGuard } from './auth.guard.js';

/**
 * Authenticates messages in an application that has AuthModule, even where messages are connected
 * without `inheritAppConfig`: global guards are not asked there.
 */
@Injectable()
export class MessageAuthGuard implements CanActivate {
  /** Looked up with the first message: at the construction not every module is there. */
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

/** The options of AuthModule; undefined where no module imports it. */
function optionsIn(modules: ModuleRef): AuthOptions | undefined {
  try {
    return modules.get<AuthOptions>(AUTH_OPTIONS, { strict: false });
  } catch {
    return undefined;
  }
}
