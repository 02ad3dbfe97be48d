import cliProgress from 'cli-progress';
import type { Output } from './terminal.js';

export interface Progress {
  /** Shows the number of rows so far, and the part of the total that is done, if there is a total. */
  show(rows: number, done?: number): void;
  stop(): void;
}

const SECONDS_BETWEEN_LINES = 5;

/**
 * Shows the progress of an import or an export: as a bar on a terminal, otherwise as a line every few
 * seconds. With a total, such as the size of the file in bytes, the bar shows the remaining time.
 */
export function startProgress(errors: Output, total?: number): Progress {
  return isProgressDrawn(errors) ? startBar(errors, total) : startLines(errors);
}

/** True if progress is shown as a bar, which needs a total. */
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
      // The total may be an estimate.
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
