import { setTimeout as sleep } from 'node:timers/promises';
import { startFlood } from './flood.js';

const PROBE_MS = 100;
/** This many fast answers in a row count as normal. */
const NORMAL_ANSWERS = 20;

/**
 * Returns the load of `connections` clients for `ms`: the answers by status, and the times of the successful ones.
 */
export async function measureLoad({ connections, ms, ...rest }) {
  const startedAt = performance.now();
  const flood = startFlood({ connections, ...rest });
  await sleep(ms);
  const { byStatus, broken } = flood.stop();
  const seconds = (performance.now() - startedAt) / 1000;
  const served = [...byStatus].filter(([status]) => status < 300).flatMap(([, times]) => times);
  const answers = [...byStatus.values()].reduce((sum, { length }) => sum + length, 0);
  return {
    connections,
    seconds,
    servedPerSecond: served.length / seconds,
    p50: quantile(served, 0.5),
    p99: quantile(served, 0.99),
    answers,
    broken,
    byStatus: new Map([...byStatus].map(([status, { length }]) => [status, length])),
  };
}

/** Requests /health/live on a new connection ten times a second, like probes, until it is stopped. */
export function watchHealth(port) {
  const byStatus = new Map();
  const times = [];
  let stopping = false;
  const running = watch();
  return {
    stop: async () => {
      stopping = true;
      await running;
      return { byStatus, times };
    },
  };

  async function watch() {
    while (!stopping) {
      const startedAt = performance.now();
      const status = await statusOf(`http://127.0.0.1:${port}/health/live`);
      times.push(performance.now() - startedAt);
      byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
      await sleep(PROBE_MS);
    }
  }
}

/** A status, or the code of the error. */
async function statusOf(url) {
  try {
    const response = await fetch(url, { headers: { Connection: 'close' } });
    await response.arrayBuffer();
    return response.status;
  } catch (error) {
    return error.cause?.code ?? error.name;
  }
}

/**
 * Returns the milliseconds until one client gets its answers as fast as `normalMs` again; Infinity if this takes more
 * than ten seconds.
 */
export async function timeToNormal({ port, requests, normalMs }) {
  const startedAt = performance.now();
  const quick = [];
  const onAnswer = (status, ms) => {
    if (status >= 300 || ms > normalMs) quick.length = 0;
    else quick.push(performance.now());
  };
  const client = startFlood({ port, connections: 1, requests, onAnswer });
  while (quick.length < NORMAL_ANSWERS && performance.now() - startedAt < 10_000) await sleep(1);
  client.stop();
  return quick.length < NORMAL_ANSWERS ? Infinity : quick[0] - startedAt;
}

/** The value below which `share` of the sorted values lie. */
export function quantile(values, share) {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
