import cliProgress from 'cli-progress';

export interface Progress {
  /** How many rows so far, and how many bytes of the file where its size is known. */
  show(rows: number, bytes?: number): void;
  stop(): void;
}

const SECONDS_BETWEEN_LINES = 5;

/**
 * Shows on the standard error how an import or an export goes on: as a bar on a terminal, elsewhere as
 * a line now and then. With the size of the file in bytes it says how much time is left.
 */
export function startProgress(totalBytes?: number): Progress {
  return process.stderr.isTTY ? startBar(totalBytes) : startLines();
}

function startBar(totalBytes?: number): Progress {
  const speed = speedometer();
  const left = totalBytes ? '{bar} {percentage} % | {eta_formatted} left | ' : '';
  const bar = new cliProgress.SingleBar(
    { format: `${left}{rows} rows | {speed} rows/s`, stream: process.stderr, hideCursor: true },
    cliProgress.Presets.shades_classic,
  );
  bar.start(totalBytes ?? 1, 0, { rows: 0, speed: 0 });
  return {
    show: (rows, bytes = 0) => bar.update(bytes, { rows: inWords(rows), speed: speed(rows) }),
    stop: () => bar.stop(),
  };
}

function startLines(): Progress {
  const speed = speedometer();
  let next = performance.now() + SECONDS_BETWEEN_LINES * 1000;
  return {
    show: (rows) => {
      if (performance.now() < next) return;
      next += SECONDS_BETWEEN_LINES * 1000;
      console.error(`${inWords(rows)} rows, ${speed(rows)} rows/s`);
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
