import { Module } from '@nestjs/common';
import { Metrics } from './metrics.js';
import { SlowStatements } from './slow-statements.js';
import { StatementSpans } from './spans.js';

/** Provides metrics, spans, and the log of slow statements. */
@Module({ providers: [Metrics, SlowStatements, StatementSpans] })
export class ObservabilityModule {}
