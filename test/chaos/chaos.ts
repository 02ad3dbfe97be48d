// npm run chaos: the long form of failovers, reads over replicas, and events with kills. `--write` puts the results
// into docs/reliability.md, and `--parts` selects from failovers, reads and events.
import os from 'node:os';
import { parseArgs } from 'node:util';
import { writeReport } from '../bench/report.js';
import { fileOf } from '../support/needs.js';
import { createFolder, killServices } from '../support/process.js';
import { proveEvents } from './events.js';
import { prove } from './proof.js';
import { proveReads } from './reads.js';

const { values: options } = parseArgs({
  options: {
    parts: { type: 'string', default: 'failovers,reads,events' },
    failovers: { type: 'string', default: '10' },
    writers: { type: 'string', default: '8' },
    instances: { type: 'string', default: '3' },
    reads: { type: 'string', default: '10000' },
    changes: { type: 'string', default: '2000' },
    kills: { type: 'string', default: '10' },
    write: { type: 'boolean', default: false },
  },
});
const log = console.error;
const PARTS = { failovers, reads, events };

for (const name of options.parts.split(',')) {
  const { rows, faults } = await PARTS[name as keyof typeof PARTS]();
  const report = reportOf(rows, faults);
  console.log(report);
  if (options.write) writeReport(`chaos ${name}`, report, 'docs/reliability.md');
  if (faults.length > 0) process.exitCode = 1;
}

async function failovers() {
  const counts = {
    failovers: Number(options.failovers),
    writers: Number(options.writers),
    instances: Number(options.instances),
  };
  const found = await prove({ ...counts, log });
  const { restart, faults } = found;
  const rows: Rows = [
    ['primaries killed with SIGKILL, and standbys promoted', counts.failovers],
    ['instances of the service', counts.instances],
    ['clients that write', counts.writers],
    ['writes acknowledged', found.writes],
    ['requests', found.requests],
    ['requests sent again after a failure', found.sentAgain],
    ['answers lost between service and client', found.lostAnswers],
    ['stored answers sent again for a key', found.replays],
    ['reads with the token of the write before', found.reads],
    ['changes in the history and in the feed', found.changes],
    ['reconnections of the feed reader', found.reconnects],
    [
      'longest time without an acknowledged write, including up to a second before the promotion',
      `${(found.longestGapMs / 1000).toFixed(1)} s`,
    ],
    ['requests during the rolling restart', restart.requests],
    ['failed requests during the rolling restart', restart.failed],
    [
      'faults: writes lost or done twice, stale reads, changes missed or seen twice, instances that ended',
      faults.length,
    ],
  ];
  return { rows, faults };
}

async function reads() {
  const found = await proveReads({ reads: Number(options.reads) });
  const rows: Rows = [
    ['writes', found.writes],
    ['pauses of the replay of a replica', found.pauses],
    ['reads with the token of a write', found.reads],
    ['reads answered by a replica', found.onReplicas],
    ['stale reads with a token', found.faults.length],
    ['reads without a token, for comparison', found.plain],
    ['reads without a token that were older than the write', found.plainStale],
  ];
  return { rows, faults: found.faults };
}

async function events() {
  const natsServer = fileOf('nats-server');
  if (!natsServer)
    throw new Error('The part events needs nats-server: apt-get install nats-server');
  const counts = { changes: Number(options.changes), kills: Number(options.kills) };
  const directory = await createFolder();
  const found = await proveEvents({ directory, natsServer, ...counts, log }).finally(killServices);
  const rows: Rows = [
    [
      'kills with SIGKILL of each: the publishing instance, nats-server and PostgreSQL',
      counts.kills,
    ],
    ['instances frozen with SIGSTOP for longer than their lease', found.freezes],
    [
      'frozen instances without unpublished changes, which published nothing afterwards',
      found.idleFreezes,
    ],
    ['changes in the feed', found.changes],
    ['events in the stream', found.events],
    ['events lost, repeated, out of order or published by a frozen instance', found.faults.length],
  ];
  return { rows, faults: found.faults };
}

type Rows = [string, number | string][];

function reportOf(rows: Rows, faults: string[]): string {
  const { model } = os.cpus()[0]!;
  return [
    `${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${os.cpus().length} cores (${model.trim()}), which everything shares.`,
    '',
    '| | |',
    '| --- | ---: |',
    ...rows.map(([name, value]) => `| ${name} | ${value.toLocaleString('en')} |`),
    ...faults.slice(0, 20).map((fault) => `\n- ${fault}`),
  ].join('\n');
}
