import { type DynamicModule, Module } from '@nestjs/common';
import { RouterModule } from '@nestjs/core';
import { authOptions } from './auth/auth-mode.js';
import { AuthModule } from './auth/auth.module.js';
import { ConfigurationModule } from './config/configuration.module.js';
import { databaseConfig, replicasConfig } from './config/database-config.js';
import { meshAddressOf, rateLimitOf } from './config/derived-settings.js';
import type { Environment } from './config/environment.js';
import type { MeshAddress } from './config/mesh-url.js';
import { DatabaseModule } from './db/database.module.js';
import { MIGRATES_AFTER_START } from './entities/tracking-check.js';
import { BODY_LIMIT } from './http/contract/body.guard.js';
import { HealthModule } from './health/health.module.js';
import { LimitsModule } from './limits/limits.module.js';
import { MeshModule } from './mesh/mesh.module.js';
import { ObservabilityModule } from './observability/observability.module.js';
import { ProjectMessagesModule } from './projects/messages/project-messages.module.js';
import { PROJECTS } from './projects/projects.resource.js';
import { ProjectsModule } from './projects/projects.module.js';
import { HISTORY_RETENTION_DAYS } from './projects/projects.tokens.js';
import { TechnologiesModule } from './technologies/technologies.module.js';

/** The modules whose routes are served below /api. */
const API = [ProjectsModule, TechnologiesModule];

/** The realm of WWW-Authenticate and the prefix of the scopes `projects:read` and `projects:write`. */
const REALM = 'projects';

/**
 * Provides settings by token for modules that host applications may also import. These modules do not know
 * Environment.
 */
@Module({})
class SettingsModule {
  static forRoot(environment: Environment): DynamicModule {
    const settings = [
      { provide: BODY_LIMIT, useValue: environment.BODY_LIMIT },
      { provide: MIGRATES_AFTER_START, useValue: environment.MIGRATIONS === 'apply' },
      { provide: HISTORY_RETENTION_DAYS, useValue: environment.HISTORY_RETENTION_DAYS },
    ];
    return { module: SettingsModule, global: true, providers: settings, exports: settings };
  }
}

/** Over NATS the change feed is also published as events. TCP has no stream to publish to. */
function meshModule(address: MeshAddress, { MESH_SOURCE: source }: Environment): DynamicModule {
  if (address.transport !== 'nats') return MeshModule.forRoot();
  return MeshModule.forRoot({ address, source, entity: PROJECTS });
}

/** The modules of the service, configured by the environment. */
@Module({
  imports: [
    HealthModule,
    ObservabilityModule,
    ...API,
    RouterModule.register([{ path: 'api', children: API }]),
  ],
})
export class AppModule {
  static forRoot(environment: Environment): DynamicModule {
    const auth = authOptions(environment, REALM);
    const rate = rateLimitOf(environment);
    const mesh = meshAddressOf(environment);
    return {
      module: AppModule,
      imports: [
        ConfigurationModule.forRoot(environment),
        SettingsModule.forRoot(environment),
        DatabaseModule.forRoot({
          ...databaseConfig(environment),
          replicas: replicasConfig(environment),
        }),
        ...(auth ? [AuthModule.forRoot(auth)] : []),
        ...(rate ? [LimitsModule.forRoot(rate)] : []), // it comes after AuthModule, because it needs the caller
        ...(mesh ? [meshModule(mesh, environment), ProjectMessagesModule.register()] : []),
      ],
    };
  }
}
