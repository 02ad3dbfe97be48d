import { hash } from 'node:crypto';
import type { Caller, Recognise } from './caller.js';

const MAX_TOKENS = 1000;
const LONGEST_MS = 60_000;

/**
 * Caches the callers of verified tokens, because a verification costs as much as a whole read. It keeps
 * at most 1,000 tokens, each for at most 60 seconds and never past its expiry, and stores only digests.
 */
export function rememberCallers(verify: (token: string) => Promise<Caller>): Recognise {
  const known = new Map<string, { caller: Caller; until: number }>();

  async function verifyAndKeep(token: string, digest: string): Promise<Caller> {
    const caller = await verify(token);
    if (known.size >= MAX_TOKENS) known.delete(known.keys().next().value!);
    const until = Math.min(Date.now() + LONGEST_MS, caller.expiresAt ?? Infinity);
    known.set(digest, { caller, until });
    return caller;
  }

  return (token) => {
    const digest = hash('sha256', token);
    const found = known.get(digest);
    if (found && Date.now() < found.until) return found.caller;
    known.delete(digest);
    return verifyAndKeep(token, digest);
  };
}
