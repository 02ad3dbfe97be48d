import os from 'node:os';
import { quantile } from './measure.js';

const ms = (value) => value.toFixed(1);
const whole = (value) => Math.round(value).toLocaleString('en');

/** The tables of `npm run overload`. */
export function reportOf({ results, neighbour, seconds }) {
  const { model } = os.cpus()[0];
  return [
    `${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${os.cpus().length} cores (${model.trim()}), ${seconds} seconds of overload for each row of it.`,
    '',
    '| request | clients | served/s | p50 / p99 of the served, ms | p99, ratio | 503 of all answers |',
    '| --- | ---: | ---: | ---: | ---: | ---: |',
    ...results.flatMap(loadRows),
    '',
    '| during and after the overload |  ' + results.map(({ name }) => name).join(' | ') + ' |',
    '| --- |' + ' ---: |'.repeat(results.length),
    row('answers of `/health/live`, all 200', results, ({ live }) => whole(live.times.length)),
    row('p50 / p99 of `/health/live` on a new connection, ms', results, ({ live }) =>
      [0.5, 0.99].map((share) => ms(quantile(live.times, share))).join(' / '),
    ),
    row('memory with 64 clients / at the peak, MB', results, (r) => `${r.fullMb} / ${r.overMb}`),
    row('time until answers are normal again, ms', results, ({ normalMs }) => whole(normalMs)),
    '',
    '| a caller with 8 connections, who pauses for 200 ms | served/s | p50 / p99, ms | refused |',
    '| --- | ---: | ---: | ---: |',
    neighbourRow('alone', neighbour.alone),
    neighbourRow('next to a caller with 640, far above its `RATE_LIMIT`', neighbour.greedy.caller),
    neighbourRow(
      'next to 640 connections of unknown callers who guess keys',
      neighbour.stranger.caller,
    ),
    '',
  ].join('\n');
}

function loadRows({ name, alone, full, over }) {
  return [alone, full, over].map((load, n) => {
    const refused = (100 * (load.byStatus.get(503) ?? 0)) / load.answers;
    const ratio = n === 2 ? (load.p99 / full.p99).toFixed(2) : '';
    const times = `${ms(load.p50)} / ${ms(load.p99)}`;
    return `| ${name} | ${load.connections} | ${whole(load.servedPerSecond)} | ${times} | ${ratio} | ${refused.toFixed(1)} % |`;
  });
}

function row(title, results, cell) {
  return `| ${title} | ${results.map(cell).join(' | ')} |`;
}

function neighbourRow(title, load) {
  const refused = load.answers - Math.round(load.servedPerSecond * load.seconds);
  return `| ${title} | ${whole(load.servedPerSecond)} | ${ms(load.p50)} / ${ms(load.p99)} | ${refused} |`;
}
