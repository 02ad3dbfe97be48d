import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request, Response } from 'express';
import { Environment } from '../../config/environment.js';
import { jsonBody } from '../server/body-parser.js';

const readJson = jsonBody(new Environment().BODY_LIMIT);

/**
 * Reads the body where the application has not: the parser of a host application knows
 * `application/json` alone. A guard, so that what is wrong with the body is answered as a problem.
 */
@Injectable()
export class BodyGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const req = context.switchToHttp().getRequest<Request>();
    const res = context.switchToHttp().getResponse<Response>();
    if (req.body !== undefined || req.headers['content-type'] === undefined) return true;
    return new Promise((resolve, reject) => {
      readJson(req, res, (error?: unknown) => {
        if (error instanceof Error) reject(error);
        else resolve(true);
      });
    });
  }
}
