import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { Environment } from '../config/environment.js';
import { STATEMENT_CHANNEL, type StatementEvent } from '../db/observed.js';

const QUIET_MS = 1000;
const MAX_TEXTS = 1000;

/**
 * Logs statements that took longer than DATABASE_SLOW_STATEMENT_MS, each text at most once a second. The
 * text has placeholders, so no values are logged.
 */
@Injectable()
export class SlowStatements implements OnApplicationShutdown {
  private readonly logger = new Logger('Database');
  private readonly loggedAt = new Map<string, number>();

  constructor(@Inject(Environment) private readonly environment: Environment) {
    if (environment.DATABASE_SLOW_STATEMENT_MS > 0) subscribe(STATEMENT_CHANNEL, this.onStatement);
  }

  onApplicationShutdown(): void {
    unsubscribe(STATEMENT_CHANNEL, this.onStatement);
  }

  private readonly onStatement = (message: unknown): void => {
    const { text, ms, rows, pid } = message as StatementEvent;
    if (ms < this.environment.DATABASE_SLOW_STATEMENT_MS) return;
    const now = performance.now();
    if (now - (this.loggedAt.get(text) ?? -Infinity) < QUIET_MS) return;
    if (this.loggedAt.size >= MAX_TEXTS) this.loggedAt.clear();
    this.loggedAt.set(text, now);
    this.logger.warn({ slowStatement: text, ms: Math.round(ms), rows, pid });
  };
}
