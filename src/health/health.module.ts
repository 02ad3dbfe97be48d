import { Module } from '@nestjs/common';
import { DatabaseProbe } from './database-probe.js';
import { HealthController } from './health.controller.js';
import { Readiness } from './readiness.js';
import { StartupMigrations } from './startup-migrations.js';

@Module({
  controllers: [HealthController],
  providers: [DatabaseProbe, Readiness, StartupMigrations],
})
export class HealthModule {}
