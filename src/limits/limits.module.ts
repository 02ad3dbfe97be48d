import { type DynamicModule, Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { RATE_LIMIT_OPTIONS, RateLimitGuard, type RateLimitOptions } from './rate-limit.guard.js';

/** Limits how many requests a caller may send. Import it behind the module whose guard recognises callers. */
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
