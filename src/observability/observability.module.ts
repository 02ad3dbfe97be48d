import { Module } from '@nestjs/common';
import { Metrics } from './metrics.js';
import { SlowStatements } from './slow-statements.js';
import { StatementSpans } from './spans.js';

/** What an operator sees of the service: metrics, spans and slow statements. */
@Module({ providers: [Metrics, SlowStatements, StatementSpans] })
export class ObservabilityModule {}
