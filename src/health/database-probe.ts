import { setTimeout } from 'node:timers/promises';
import { Inject, Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { databaseConfig, migrationJournal } from '../config/database-config.js';
import { Environment } from '../config/environment.js';
import { createDatabaseConnection } from '../db/connection.js';
import { asDataError, causesOf, errorCodeOf, NoAnswerError } from '../db/errors.js';
import { describeError, describeErrorPublicly } from '../db/explain-error.js';
import { describeFaults, migrationStatus } from '../db/migration-status.js';
import { ping } from '../db/ping.js';
import type { Fault } from '../http/problems/problem.js';

/** The longest time until the probe answers; platforms stop waiting after a few seconds. */
const ANSWER_WITHIN_MS = 2500;
/** The last part of that time: in it a second check runs that also a busy pooler answers. */
const LISTENING_WITHIN_MS = 1000;
/** The longest time in which a pooler may have no free connection. A frozen server behind it looks the same. */
const BUSY_WITHIN_MS = 60_000;
/** A server that is slower than this counts as busy. One that does not answer a second later counts as lost. */
const STATEMENT_TIMEOUT_MS = 1000;
/** Longer than the usual interval between two probes, so that each finds the connection open. */
const IDLE_TIMEOUT_SECONDS = 60;
const TOO_MANY_CONNECTIONS = '53300';

/**
 * Checks whether the database can be used. It has its own connection, because a pool whose connections
 * are all in use says nothing about the database. Concurrent callers share one check.
 */
@Injectable()
export class DatabaseProbe implements OnApplicationShutdown {
  private readonly logger = new Logger('Database');
  private readonly connection;
  #asking: Promise<Fault[]> | undefined;
  /** The faults when the database last answered. */
  #known: Fault[] | undefined;
  /** The time (performance.now()) until which those faults stay valid while a pooler is busy. */
  #knownUntil = 0;
  #reported = '';

  constructor(@Inject(Environment) private readonly environment: Environment) {
    this.connection = createDatabaseConnection({
      ...databaseConfig(environment),
      max: 1,
      idle_timeout: IDLE_TIMEOUT_SECONDS,
      statement_timeout_ms: STATEMENT_TIMEOUT_MS,
      acquire_timeout_ms: 0, // no limit here; ANSWER_WITHIN_MS limits the wait of the callers
      application_name: 'projects-service health',
    });
  }

  async onApplicationShutdown(): Promise<void> {
    await this.connection.close(0);
  }

  /** Returns the reasons why the database cannot be used; empty if it can. Resolves within 2.5 seconds. */
  async faults(): Promise<Fault[]> {
    this.#asking ??= this.ask().finally(() => (this.#asking = undefined));
    const answered = new AbortController();
    const silence = this.silence(answered.signal);
    silence.catch(() => undefined);
    return await Promise.race([this.#asking, silence]).finally(() => answered.abort());
  }

  private async ask(): Promise<Fault[]> {
    try {
      this.#known = await this.migrationFaults().catch((error) => this.onceMore(error));
      this.#knownUntil = performance.now() + BUSY_WITHIN_MS;
      this.report(this.#known.map(({ message }) => message).join('; '));
      return this.#known;
    } catch (error) {
      if (isBusy(error) && this.#known) return this.#known;
      const known = isSilence(error) ? await this.knownWhileBusy() : undefined;
      if (known) return known;
      this.#knownUntil = 0;
      this.report(describeError(error));
      return [{ path: 'database', message: describeErrorPublicly(error) }];
    }
  }

  /** Returns the faults to report if the check takes too long, or earlier if the server is busy. */
  private async silence(signal: AbortSignal): Promise<Fault[]> {
    const until = performance.now() + ANSWER_WITHIN_MS;
    await setTimeout(ANSWER_WITHIN_MS - LISTENING_WITHIN_MS, undefined, { signal });
    const known = await this.knownWhileBusy();
    if (known) return known;
    await setTimeout(Math.max(0, until - performance.now()), undefined, { signal });
    return NO_ANSWER;
  }

  /** Returns the last known faults if the server, or the pooler in front of it, still accepts connections. */
  private async knownWhileBusy(): Promise<Fault[] | undefined> {
    if (performance.now() > this.#knownUntil) return undefined;
    return (await this.connection.isListening(LISTENING_WITHIN_MS)) ? this.#known : undefined;
  }

  /** Tries again on a new connection, because the old one may have been lost since the last probe. */
  private async onceMore(error: unknown): Promise<Fault[]> {
    if (asDataError(error)?.code !== 'database_unavailable' || isBusy(error)) throw error;
    return await this.migrationFaults();
  }

  private async migrationFaults(): Promise<Fault[]> {
    const { db } = this.connection;
    if (this.environment.MIGRATIONS === 'off') {
      await ping(db);
      return [];
    }
    const status = await migrationStatus(db, { journal: migrationJournal(this.environment) });
    // While a newer version is rolled out, the instances of this one must stay ready.
    const faults = describeFaults({ ...status, newer: [] });
    return faults.map((message) => ({ path: 'migrations', message }));
  }

  /** Logs each change once. Before the first success StartupMigrations reports the same reasons. */
  private report(reason: string): void {
    const isReportedElsewhere = this.environment.MIGRATIONS === 'apply' && !this.#known;
    if (reason === this.#reported || (isReportedElsewhere && reason)) return;
    if (reason) this.logger.warn(`not ready: ${reason}`);
    else if (this.#reported) this.logger.log('ready again');
    this.#reported = reason;
  }
}

const NO_ANSWER: Fault[] = [
  { path: 'database', message: `The database did not answer within ${ANSWER_WITHIN_MS} ms.` },
];

/** True if no answer came in time, or if the pooler had no free connection for too long. */
function isSilence(error: unknown): boolean {
  return [...causesOf(error)].some(
    (cause) => cause instanceof NoAnswerError || cause.message === 'query_wait_timeout',
  );
}

/** True if the server itself reports that it is overloaded, which shows that it is reachable. */
function isBusy(error: unknown): boolean {
  return (
    asDataError(error)?.code === 'statement_timeout' || errorCodeOf(error) === TOO_MANY_CONNECTIONS
  );
}
