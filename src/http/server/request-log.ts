import { Logger } from '@nestjs/common';
import type { OnAnswered } from './answered.js';

/** Matches the paths that a platform requests every few seconds. */
const PROBED = /^\/(health\/|metrics$)/;

/**
 * Logs each answered request at level info, or debug for probes: as an object (`json`) or as a line of
 * text (`pretty`).
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
