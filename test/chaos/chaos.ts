// npm run chaos: failovers under load in their long form; --write puts the result into docs/reliability.md.
import os from 'node:os';
import { parseArgs } from 'node:util';
import { writeReport } from '../bench/report.js';
import { type Proof, prove } from './proof.js';

const { values: options } = parseArgs({
  options: {
    failovers: { type: 'string', default: '10' },
    writers: { type: 'string', default: '8' },
    instances: { type: 'string', default: '3' },
    write: { type: 'boolean', default: false },
  },
});
const counts = {
  failovers: Number(options.failovers),
  writers: Number(options.writers),
  instances: Number(options.instances),
};
const proof = await prove({ ...counts, log: console.error });
const report = reportOf(proof);
console.log(report);
if (options.write) writeReport('chaos', report, 'docs/reliability.md');
process.exitCode = proof.faults.length > 0 ? 1 : 0;

function reportOf(found: Proof): string {
  const number = (value: number) => value.toLocaleString('en');
  const { model } = os.cpus()[0]!;
  return [
    `${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${os.cpus().length} cores (${model.trim()}), which clients, instances and both servers share.`,
    '',
    '| | |',
    '| --- | ---: |',
    `| primaries killed with SIGKILL, and standbys promoted | ${counts.failovers} |`,
    `| instances of the service, and clients that write | ${counts.instances} and ${counts.writers} |`,
    `| writes acknowledged | ${number(found.writes)} |`,
    `| requests, and those sent again after a failure | ${number(found.requests)} and ${number(found.sentAgain)} |`,
    `| answers repeated for a key | ${number(found.replays)} |`,
    `| reads with the token of the write before | ${number(found.reads)} |`,
    `| changes in the history and in the feed | ${number(found.changes)} |`,
    `| times the reader of the feed came back | ${found.reconnects} |`,
    `| longest time without an acknowledged write, up to a second of it until the promotion | ${(found.longestGapMs / 1000).toFixed(1)} s |`,
    `| requests during the rolling restart, and those that failed | ${number(found.restart.requests)} and ${found.restart.failed} |`,
    `| faults: writes lost or done twice, stale reads, changes missed or seen twice, instances that ended | ${found.faults.length} |`,
    ...found.faults.slice(0, 20).map((fault) => `\n- ${fault}`),
  ].join('\n');
}
