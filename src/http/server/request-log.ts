import { Logger } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';
import { requestIdOf, traceIdOf } from './request-id.js';

/** One line for each request when it has been answered, at level info. The query is left out: it holds what people type. */
export function requestLog() {
  const logger = new Logger('Http');
  return (req: Request, res: Response, next: NextFunction) => {
    const startedAt = performance.now();
    res.once('close', () => {
      const ms = Math.round(performance.now() - startedAt);
      const path = req.originalUrl.split('?', 1)[0]!;
      const trace = traceIdOf(req);
      const line = `${req.method} ${path} ${res.writableFinished ? res.statusCode : 'aborted'} ${ms} ms`;
      logger.log(`${line} request=${requestIdOf(req, res)}${trace ? ` trace=${trace}` : ''}`);
    });
    next();
  };
}
