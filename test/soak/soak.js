// npm run soak: the long form of the soak test. `--write` puts the result into docs/reliability.md.
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import os, { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { writeReport } from '../bench/report.js';
import { prove } from './proof.js';

const { values: options } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    writers: { type: 'string', default: '8' },
    write: { type: 'boolean', default: false },
  },
});
const directory = mkdtempSync(path.join(tmpdir(), 'projects-soak-'));
chmodSync(directory, 0o755);
try {
  const kills = Number(options.kills);
  const writers = Number(options.writers);
  const result = await prove({ directory, kills, writers, log: console.error });
  const report = reportOf({ ...result, kills, writers });
  console.log(report);
  if (options.write) writeReport('soak', report, 'docs/reliability.md');
  process.exitCode = result.faults.length > 0 ? 1 : 0;
} finally {
  rmSync(directory, { recursive: true, force: true });
}

function reportOf(result) {
  const { kills, writers, writes, projects, changes, retries, replays, reconnects, faults } =
    result;
  const { model } = os.cpus()[0];
  return [
    `${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${os.cpus().length} cores (${model.trim()}).`,
    '',
    '| | |',
    '| --- | ---: |',
    `| kills with SIGKILL of the service and of PostgreSQL | ${kills} and ${kills} |`,
    `| writers | ${writers} |`,
    `| writes acknowledged | ${writes.toLocaleString('en')} |`,
    `| requests sent again | ${retries.toLocaleString('en')} |`,
    `| stored answers sent again for a key | ${replays.toLocaleString('en')} |`,
    `| projects | ${projects.toLocaleString('en')} |`,
    `| changes in the history and in the feed | ${changes.toLocaleString('en')} |`,
    `| reconnections of the feed reader | ${reconnects} |`,
    `| faults | ${faults.length} |`,
    ...faults.slice(0, 20).map((fault) => `\n- ${fault}`),
  ].join('\n');
}
