import { Module } from '@nestjs/common';
import { Metrics } from './metrics.js';
import { SlowStatements } from './slow-statements.js';

/** What an operator sees of the service: metrics and slow statements. */
@Module({ providers: [Metrics, SlowStatements] })
export class ObservabilityModule {}
