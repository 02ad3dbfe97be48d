import type { Response } from 'express';
import { Problem } from '../problems/problem.js';

interface ReaderLimits {
  /** The longest wait until the connection has room for the next part. */
  silenceMs: number;
  /** The deadline of the whole answer, on the clock of performance.now(). */
  endsAt: number;
  /** Aborts the answer. */
  signal?: AbortSignal;
}

/**
 * Writes a part of an answer and resolves when the connection has room for the next one. Rejects if
 * the client has disconnected or is too slow for the limits.
 */
export async function writePart(res: Response, part: Buffer, limits: ReaderLimits): Promise<void> {
  const { silenceMs, endsAt, signal } = limits;
  if (res.closed || res.destroyed || signal?.aborted || performance.now() > endsAt) throw gone();
  if (part.length === 0 || res.write(part)) return;
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => end(() => reject(gone())), silenceMs);
    const onDrain = () => end(resolve);
    const onClose = () => end(() => reject(gone()));
    const end = (settle: () => void) => {
      clearTimeout(timer);
      res.off('drain', onDrain).off('close', onClose);
      signal?.removeEventListener('abort', onClose);
      settle();
    };
    res.once('drain', onDrain).once('close', onClose);
    signal?.addEventListener('abort', onClose);
  });
}

function gone(): Problem {
  return new Problem('request_timeout', 'The client has disconnected or reads too slowly.');
}
