import { Logger } from '@nestjs/common';
import type { OnAnswered } from './answered.js';

/** One line for each request when it has been answered, at level info: an object for machines, or a line for people. */
export function requestLog(format: 'json' | 'pretty'): OnAnswered {
  const logger = new Logger('Http');
  return (answered) => {
    const ms = Math.round(answered.ms);
    if (format === 'json') return logger.log({ ...answered, ms });
    const { method, route, status, actor, requestId, traceId } = answered;
    const line = `${method} ${route} ${status} ${ms} ms request=${requestId}`;
    logger.log(line + (actor && ` actor=${actor}`) + (traceId ? ` trace=${traceId}` : ''));
  };
}
