import { type DynamicModule, Module } from '@nestjs/common';
import { Environment } from './environment.js';

/** Provides every module with the environment, which is read and validated once at the start: `constructor(environment: Environment)`. */
@Module({})
export class ConfigurationModule {
  static forRoot(environment: Environment): DynamicModule {
    return {
      module: ConfigurationModule,
      global: true,
      providers: [{ provide: Environment, useValue: environment }],
      exports: [Environment],
    };
  }
}
