import { call, type CallOptions, type CallSettings, READS } from './calls.js';
import type { Operation, Reply, RequestMeta, Requests, Transport } from './transport.js';

/** The calls of one client. Its reads see its own writes. */
export interface ConsistentCalls {
  /** The token of all acknowledged writes; undefined if the service has no replicas. */
  readonly token: string | undefined;
  readonly send: <O extends Operation>(
    operation: O,
    request: Requests[O],
    options?: CallOptions & RequestMeta,
  ) => Promise<Reply>;
}

/** Stores the token of the writes and sends it with later reads. */
export function consistentCalls(
  transport: Transport,
  settings: CallSettings,
  given?: string,
): ConsistentCalls {
  const kept = new KeptToken(given);
  return {
    get token() {
      return kept.token;
    },
    send: async (operation, request, options = {}) => {
      const { consistencyToken: other, ...own } = options;
      if (READS.has(operation)) {
        const consistencyToken = later(kept.token, other);
        return await call(transport, settings, operation, request, { ...own, consistencyToken });
      }
      const sentAt = kept.now;
      const reply = await call(transport, settings, operation, request, own);
      if (reply.consistencyToken !== undefined) kept.note(reply.consistencyToken, sentAt);
      return reply;
    },
  };
}

/**
 * The latest consistency token. If a write was sent when a token was already known, its token replaces that one,
 * even if its position is lower: after a restore positions start again, and a service that cannot read its
 * position answers the highest one. Among concurrent writes the later position counts.
 */
class KeptToken {
  /** The number of received tokens. */
  now = 0;
  #since = 0;
  /** The latest token of the writes that were sent before the current token was known. */
  #concurrent: string | undefined;

  constructor(public token: string | undefined) {}

  note(token: string, sentAt: number): void {
    this.now++;
    if (sentAt < this.#since) {
      this.#concurrent = later(this.#concurrent, token);
      this.token = later(this.token, token);
    } else {
      this.token = later(this.#concurrent, token);
      this.#since = this.now;
      this.#concurrent = undefined;
    }
  }
}

/** Returns the later of two positions. A text that is not a token wins, so that the service refuses it. */
function later(one: string | undefined, other: string | undefined): string | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  const [a, b] = [partsOf(one), partsOf(other)];
  if (!a || !b) return a ? other : one;
  const differing = a.findIndex((part, at) => part !== b[at]);
  return differing < 0 || a[differing]! > b[differing]! ? one : other;
}

/** Parses the timeline and the two halves of the LSN: `1-16/B374D848`. */
function partsOf(token: string): number[] | undefined {
  const [, ...parts] = /^([0-9A-F]{1,8})-([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/.exec(token) ?? [];
  return parts.length === 3 ? parts.map((part) => parseInt(part, 16)) : undefined;
}
