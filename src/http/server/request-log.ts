import { Logger } from '@nestjs/common';
import type { OnAnswered } from './answered.js';

/** What a platform asks every few seconds. */
const PROBED = /^\/(health\/|metrics$)/;

/**
 * One line for each request when it has been answered, at level info, or debug for probes: an object for machines,
 * or a line for people.
 */
export function requestLog(format: 'json' | 'pretty'): OnAnswered {
  const logger = new Logger('Http');
  return (answered) => {
    const ms = Math.round(answered.ms);
    const { method, route, status, actor, requestId, traceId } = answered;
    const log = (message: unknown) =>
      PROBED.test(route) ? logger.debug(message) : logger.log(message);
    if (format === 'json') return log({ ...answered, ms });
    const line = `${method} ${route} ${status} ${ms} ms request=${requestId}`;
    log(line + (actor && ` actor=${actor}`) + (traceId ? ` trace=${traceId}` : ''));
  };
}
