import {
  type CanActivate,
  type ExecutionContext,
  HttpException,
  Inject,
  Injectable,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request, Response } from 'express';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { isPublic } from '../auth/public.decorator.js';
import { callerOf } from '../http/contract/author.js';
import { messageContextOf } from '../http/messages/message-request.js';
import { Problem } from '../http/problems/problem.js';

export const RATE_LIMIT_OPTIONS = Symbol('RATE_LIMIT_OPTIONS');

export interface RateLimitOptions {
  /** How many requests of one caller are served in each window of `seconds`. */
  requests: number;
  seconds: number;
}

/**
 * Limits the requests of each caller, or of each address where nobody was recognised. The address is
 * the one that Express's setting `trust proxy` leads to, the peer's where no proxy is trusted. Every answer
 * says what is left, in the headers of draft-ietf-httpapi-ratelimit-headers-10. Counts in memory,
 * each instance for itself.
 */
@Injectable()
export class RateLimitGuard implements CanActivate {
  private readonly limiter: RateLimiterMemory;
  private readonly policy: string;

  constructor(
    @Inject(RATE_LIMIT_OPTIONS) private readonly options: RateLimitOptions,
    @Inject(Reflector) private readonly reflector: Reflector,
  ) {
    const { requests, seconds } = options;
    this.limiter = new RateLimiterMemory({ points: requests, duration: seconds });
    this.policy = `"default";q=${requests};w=${seconds}`;
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (isPublic(this.reflector, context)) return true;
    if (context.getType() === 'rpc') return await this.admitMessage(context);
    if (context.getType() !== 'http') return true;
    const req = context.switchToHttp().getRequest<Request>();
    const res = context.switchToHttp().getResponse<Response>();
    const caller = callerOf(req);
    const key = caller ? `caller ${caller}` : `address ${req.ip}`;
    const { left, resetSeconds, isRefused } = await this.consume(key);
    res.setHeader('RateLimit-Policy', this.policy);
    res.setHeader('RateLimit', `"default";r=${left};t=${resetSeconds}`);
    if (isRefused) {
      const headers = { 'Retry-After': String(Math.max(1, resetSeconds)) };
      res.set(headers);
      throw tooMany(headers);
    }
    return true;
  }

  /** A message has no address of its sender: those whose sender was not recognised count together. */
  private async admitMessage(context: ExecutionContext): Promise<true> {
    const caller = callerOf(messageContextOf(context));
    const { isRefused } = await this.consume(caller ? `caller ${caller}` : 'messages');
    if (isRefused) throw tooMany();
    return true;
  }

  private async consume(key: string) {
    const consumed = await this.limiter.consume(key).catch((refused: unknown) => {
      if (refused instanceof RateLimiterRes) return refused; // a refusal is rejected, and is no Error
      throw refused;
    });
    return {
      left: consumed.remainingPoints,
      resetSeconds: Math.ceil(consumed.msBeforeNext / 1000),
      isRefused: consumed.consumedPoints > this.options.requests,
    };
  }
}

function tooMany(headers: Record<string, string> = {}): HttpException {
  const detail = 'This caller has sent too many requests.';
  return new HttpException(detail, 429, {
    cause: new Problem('too_many_requests', detail, { headers }),
  });
}
