import { Logger } from '@nestjs/common';
import type { OnAnsweredMessage } from './message-request.js';

/** Logs each answered message at level info: as an object (`json`) or as a line of text (`pretty`). */
export function messageLog(format: 'json' | 'pretty'): OnAnsweredMessage {
  const logger = new Logger('Messages');
  return (answered) => {
    const ms = Math.round(answered.ms);
    if (format === 'json') return logger.log({ ...answered, ms });
    const { pattern, status, code, actor, requestId, traceId } = answered;
    const outcome = code === undefined ? status : `${status} ${code}`;
    const line = `${pattern} ${outcome} ${ms} ms request=${requestId}`;
    logger.log(line + (actor && ` actor=${actor}`) + (traceId ? ` trace=${traceId}` : ''));
  };
}
