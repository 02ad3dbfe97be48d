import { Module } from '@nestjs/common';
import { HealthController } from './health.controller.js';
import { Readiness } from './readiness.js';
import { StartupMigrations } from './startup-migrations.js';

@Module({
  controllers: [HealthController],
  providers: [Readiness, StartupMigrations],
})
export class HealthModule {}
