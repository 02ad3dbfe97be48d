import cliProgress from 'cli-progress';
import type { Output } from './terminal.js';

export interface Progress {
  /** How many rows so far, and how much is done of the total where that is known. */
  show(rows: number, done?: number): void;
  stop(): void;
}

const SECONDS_BETWEEN_LINES = 5;

/**
 * Shows how an import or an export goes on: as a bar on a terminal, elsewhere as
 * a line now and then. With a total, such as the size of the file in bytes, the bar says how much time
 * is left.
 */
export function startProgress(errors: Output, total?: number): Progress {
  return isProgressDrawn(errors) ? startBar(errors, total) : startLines(errors);
}

/** Whether there is a bar, which a total is of use for. */
export function isProgressDrawn(errors: Output): boolean {
  return errors.isTTY === true;
}

function startBar(errors: Output, total?: number): Progress {
  const speed = speedometer();
  const left = total ? '{bar} {percentage} % | {eta_formatted} left | ' : '';
  const bar = new cliProgress.SingleBar(
    {
      format: `${left}{rows} rows | {speed} rows/s`,
      stream: errors,
      hideCursor: true,
    },
    cliProgress.Presets.shades_classic,
  );
  bar.start(total ?? 1, 0, { rows: 0, speed: 0 });
  return {
    show: (rows, done = 0) => {
      // A total may be an estimate.
      if (done > bar.getTotal()) bar.setTotal(done);
      bar.update(done, { rows: inWords(rows), speed: speed(rows) });
    },
    stop: () => bar.stop(),
  };
}

function startLines(errors: Output): Progress {
  const speed = speedometer();
  let next = performance.now() + SECONDS_BETWEEN_LINES * 1000;
  return {
    show: (rows) => {
      if (performance.now() < next) return;
      next += SECONDS_BETWEEN_LINES * 1000;
      errors.write(`${inWords(rows)} rows, ${speed(rows)} rows/s\n`);
    },
    stop: () => undefined,
  };
}

function speedometer(): (rows: number) => string {
  const startedAt = performance.now();
  return (rows) => inWords(Math.round((rows * 1000) / (performance.now() - startedAt)));
}

function inWords(count: number): string {
  return count.toLocaleString('en');
}
