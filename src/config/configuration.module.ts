import { type DynamicModule, Module } from '@nestjs/common';
import { Environment } from './environment.js';

/** Gives every module the environment, as it was read and validated once at start: `constructor(environment: Environment)`. */
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
