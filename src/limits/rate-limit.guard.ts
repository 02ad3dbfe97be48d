import { isIPv6 } from 'node:net';
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
import { callerOf } from '../http/answers/caller.js';
import { messageContextOf } from '../http/messages/message-request.js';
import { Problem } from '../http/problems/problem.js';

export const RATE_LIMIT_OPTIONS = Symbol('RATE_LIMIT_OPTIONS');

export interface RateLimitOptions {
  /** The number of requests of one caller that are served in each window of `seconds`. */
  requests: number;
  seconds: number;
}

/**
 * Limits the requests of each caller, or of each client address if the caller is not authenticated; of an IPv6
 * address only the first 64 bits count, because the client chooses the others. The
 * address follows Express's setting `trust proxy`; without a trusted proxy it is that of the peer. Every
 * answer has the headers of draft-ietf-httpapi-ratelimit-headers-10. Each instance counts for itself, in
 * memory.
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
    const key = caller ? `caller ${caller}` : `address ${networkOf(req.ip ?? '')}`;
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

  /** A message has no sender address, so all messages of unauthenticated senders share one limit. */
  private async admitMessage(context: ExecutionContext): Promise<true> {
    const caller = callerOf(messageContextOf(context));
    const { isRefused } = await this.consume(caller ? `caller ${caller}` : 'messages');
    if (isRefused) throw tooMany();
    return true;
  }

  private async consume(key: string) {
    const consumed = await this.limiter.consume(key).catch((refused: unknown) => {
      if (refused instanceof RateLimiterRes) return refused; // a refusal is a rejection that is not an Error
      throw refused;
    });
    return {
      left: consumed.remainingPoints,
      resetSeconds: Math.ceil(consumed.msBeforeNext / 1000),
      isRefused: consumed.consumedPoints > this.options.requests,
    };
  }
}

/** Returns the first 64 bits of an IPv6 address. Any other address, also one of IPv4 in IPv6, is returned unchanged. */
function networkOf(address: string): string {
  if (!isIPv6(address) || address.includes('.')) return address;
  const [head = [], tail = []] = address.split('::').map((part) => {
    const groups = part.split(':').filter((group) => group !== '');
    return groups.map((group) => Number.parseInt(group, 16)); // a number may be written in several ways
  });
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => 0);
  return [...head, ...zeros, ...tail].slice(0, 4).join(':');
}

function tooMany(headers: Record<string, string> = {}): HttpException {
  const detail = 'This caller has sent too many requests.';
  return new HttpException(detail, 429, {
    cause: new Problem('too_many_requests', detail, { headers }),
  });
}
