import {
  type DynamicModule,
  type FactoryProvider,
  Inject,
  Module,
  type ModuleMetadata,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AUTH_OPTIONS, type AuthOptions } from './auth-options.js';
import { AuthGuard } from './auth.guard.js';

export interface AuthModuleAsyncOptions
  extends Pick<ModuleMetadata, 'imports'>, Pick<FactoryProvider, 'inject'> {
  useFactory: (...dependencies: never[]) => AuthOptions | Promise<AuthOptions>;
}

/**
 * Protects every route of the application that is not @Public(). A host application with its own guards
 * does not need it: the `req.user` that they set identifies the caller too.
 */
@Module({})
export class AuthModule implements OnApplicationShutdown {
  constructor(@Inject(AUTH_OPTIONS) private readonly options: AuthOptions) {}

  static forRoot(options: AuthOptions): DynamicModule {
    return AuthModule.forRootAsync({ useFactory: () => options });
  }

  static forRootAsync({ imports, inject, useFactory }: AuthModuleAsyncOptions): DynamicModule {
    return {
      module: AuthModule,
      imports: imports ?? [],
      providers: [
        { provide: AUTH_OPTIONS, inject: inject ?? [], useFactory },
        { provide: APP_GUARD, useClass: AuthGuard },
      ],
      exports: [AUTH_OPTIONS],
    };
  }

  onApplicationShutdown(): void {
    this.options.close?.();
  }
}
