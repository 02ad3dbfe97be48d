import { type DynamicModule, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { RATE_LIMIT_OPTIONS, RateLimitGuard, type RateLimitOptions } from './rate-limit.guard.js';

/** Limits the rate of requests of each caller. Import it after the module whose guard authenticates callers. */
@Module({})
export class LimitsModule {
  static forRoot(options: RateLimitOptions): DynamicModule {
    return {
      module: LimitsModule,
      providers: [
        { provide: RATE_LIMIT_OPTIONS, useValue: options },
        { provide: APP_GUARD, useClass: RateLimitGuard },
      ],
    };
  }
}
