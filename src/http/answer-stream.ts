import type { Response } from 'express';
import { Problem } from './problem.js';

/**
 * Writes a part of an answer and resolves when the connection has room for the next. Rejects when
 * the reader has gone, or takes nothing for `silenceMs`.
 */
export async function writePart(res: Response, part: Buffer, silenceMs: number): Promise<void> {
  if (res.closed || res.destroyed) throw gone();
  if (part.length === 0 || res.write(part)) return;
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => end(() => reject(gone())), silenceMs);
    const onDrain = () => end(resolve);
    const onClose = () => end(() => reject(gone()));
    const end = (settle: () => void) => {
      clearTimeout(timer);
      res.off('drain', onDrain).off('close', onClose);
      settle();
    };
    res.once('drain', onDrain).once('close', onClose);
  });
}

function gone(): Problem {
  return new Problem('request_timeout', 'The reader has gone.');
}
