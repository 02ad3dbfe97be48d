import { setTimeout as sleep } from 'node:timers/promises';
import { measureLoad, timeToNormal, watchHealth } from './measure.js';

/** The number of clients, as a multiple of the requests that the service accepts at once. */
export const FACTOR = 10;
/** The service delays refusals for a second, so after this time they are gone. */
const HOLD_MS = 1100;

/**
 * Loads a service that accepts `capacity` requests at once with one client, with `capacity` clients and with ten
 * times as many. It also measures how soon the answers are normal again.
 */
export async function proveOverload({
  port,
  memoryMb,
  requests,
  capacity,
  calmMs,
  ms,
  normalFactor = 2,
}) {
  const load = (connections, ms) => measureLoad({ port, connections, requests, ms });
  await load(capacity, calmMs); // warm
  const alone = await load(1, calmMs);
  const full = await load(capacity, calmMs);
  const fullMb = memoryMb();
  const health = watchHealth(port);
  const over = await load(capacity * FACTOR, ms);
  const normalMs = await timeToNormal({ port, requests, normalMs: normalFactor * alone.p99 });
  const live = await health.stop();
  return { alone, full, over, live, normalMs, fullMb, overMb: memoryMb() };
}

/**
 * Measures the answers to one caller with few requests: alone, next to a caller that sends far more than its
 * RATE_LIMIT allows, and next to unknown callers who guess keys. `requestsOf` creates the requests of a key.
 */
export async function proveNeighbour({ port, requestsOf, capacity, calmMs, ms }) {
  const calm = { port, connections: 8, requests: requestsOf('calm'), pauseMs: 200 };
  const beside = async (key) => {
    const flood = { port, connections: capacity * FACTOR, requests: requestsOf(key), ms };
    const [neighbour, caller] = await Promise.all([
      measureLoad(flood),
      measureLoad({ ...calm, ms }),
    ]);
    await sleep(HOLD_MS);
    return { caller, neighbour };
  };
  const alone = await measureLoad({ ...calm, ms: calmMs });
  return { alone, greedy: await beside('greedy'), stranger: await beside('unknown') };
}

const REFUSALS = [503, 429];
const MOST_MORE_MB = 150;

/** Returns the violated requirements that do not depend on times. */
export function faultsOf({ over, live, normalMs, fullMb, overMb }) {
  const wrong = [...over.byStatus.keys()].filter((s) => s >= 300 && !REFUSALS.includes(s));
  return [
    ...wrong.map((status) => `an answer was ${status}`),
    ...(over.broken > 0 ? [`${over.broken} connections were cut`] : []),
    ...(over.byStatus.has(503) ? [] : ['nothing was refused']),
    ...[...live.byStatus.keys()].filter((s) => s !== 200).map((s) => `/health/live was ${s}`),
    ...(normalMs < Infinity ? [] : ['the service was not normal ten seconds later']),
    ...(overMb - fullMb > MOST_MORE_MB ? [`memory grew from ${fullMb} to ${overMb} MB`] : []),
  ];
}

/** Returns the violated requirements for times. */
export function timeFaultsOf({ full, over, normalMs }) {
  return [
    ...(over.p99 <= 3 * full.p99
      ? []
      : [`p99 is ${(over.p99 / full.p99).toFixed(1)} times as long`]),
    ...(normalMs <= 1000 ? [] : [`the service was normal after ${Math.round(normalMs)} ms`]),
  ];
}
