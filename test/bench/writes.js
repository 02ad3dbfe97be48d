// What the triggers cost a write: the processor time of the database for single writes, each its own transaction,
// and for an import, on a table without triggers, with those of the lists, and with all. Only on Linux.
//   npm run bench:writes -- [--rows 100000] [--rounds 7] [--write]
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os, { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import postgres from 'postgres';
import { startEmbeddedPostgres } from '../../dist/db/embedded/embedded-postgres.js';
import { migrate } from '../../dist/db/migrate.js';
import { fillCatalogue, fillPlainTable } from './catalogue.js';
import { writeReport } from './report.js';

const { values: options } = parseArgs({
  options: {
    rows: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '7' },
    write: { type: 'boolean', default: false },
  },
});
const SINGLE = 1000;
const BULK = 20_000;

/** Which triggers are on: `touch_row` always, for it belongs to the table. The plain table is the document's. */
const VARIANTS = {
  'plain table': undefined,
  'no triggers': [],
  lists: ['projects_facets_%'],
  'lists, history and feed': ['projects_facets_%', 'projects_changes_%'],
};

/** The loop runs on the server, so that neither the network nor Node is measured. */
const WRITES = {
  insert: loop(`insert into projects (name, description, technologies)
    select name, description, technologies from projects where id = victims[i]`),
  update: loop(`update projects set description = description || '.' where id = victims[i]`),
  'update of technologies': loop(
    `update projects set technologies = technologies || to_jsonb('Extra ' || gen_random_uuid()) where id = victims[i]`,
  ),
  delete: loop(`delete from projects where id = victims[i]`),
  [`insert of ${BULK.toLocaleString('en')} at once`]: `insert into projects (name, description, technologies)
    select name, description, technologies from projects limit ${BULK}`,
};

const directory = mkdtempSync(path.join(tmpdir(), 'projects-bench-'));
chmodSync(directory, 0o755);
const server = await startEmbeddedPostgres({
  directory,
  settings: { shared_buffers: '1GB', fsync: 'off', synchronous_commit: 'off', jit: 'off' },
});
try {
  await migrate({ url: server.url });
  const sql = postgres(server.url, { max: 1, onnotice: () => {} });
  await fillCatalogue(sql, Number(options.rows));
  await fillPlainTable(sql);
  const report = [heading(), '', ...tableOf(await measure(sql))].join('\n');
  await sql.end();
  console.log(report);
  if (options.write) writeReport('writes', report);
} finally {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
}

/** The milliseconds of processor time by write and variant, one value for each round; the first round only warms up. */
async function measure(sql) {
  const times = {};
  const [{ pid }] = await sql`select pg_backend_pid() as pid`;
  for (let round = 0; round <= Number(options.rounds); round++) {
    for (const [write, statement] of Object.entries(WRITES)) {
      for (const [variant, triggers] of Object.entries(VARIANTS)) {
        if (triggers) await enable(sql, triggers);
        // What others have left in the index's pending list is not for this one to sort in.
        await sql.unsafe(`select gin_clean_pending_list('projects_search_index')`);
        const before = processorMs(pid);
        await sql.unsafe(triggers ? statement : statement.replaceAll('projects', 'plain'));
        const taken = processorMs(pid) - before;
        if (round > 0) ((times[write] ??= {})[variant] ??= []).push(taken);
      }
    }
    await enable(sql, ['%']);
    await sql.unsafe('select fold_technology_changes()');
    await sql.unsafe('vacuum analyze');
  }
  return times;
}

/** The processor time of a process so far: unlike wall time, it leaves out waits for a processor that others use. */
function processorMs(pid) {
  return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6;
}

async function enable(sql, patterns) {
  const names = await sql`
    select tgname as name, tgname like any (${['projects_touch_row', ...patterns]}) as wanted
    from pg_trigger where tgrelid = 'projects'::regclass and not tgisinternal`;
  for (const { name, wanted } of names) {
    await sql.unsafe(`alter table projects ${wanted ? 'enable' : 'disable'} trigger ${name}`);
  }
}

/** Runs a statement for random projects, each time in a separate transaction. */
function loop(statement) {
  return `do $$
    declare victims uuid[] := array(select id from projects order by random() limit ${SINGLE});
    begin
      for i in 1 .. ${SINGLE} loop ${statement}; commit; end loop;
    end $$`;
}

function tableOf(times) {
  const variants = Object.keys(VARIANTS);
  const rows = Object.entries(times).map(([write, byVariant]) => {
    const count = write.includes('at once') ? BULK : SINGLE;
    const us = variants.map((variant) => (median(byVariant[variant]) * 1000) / count);
    const [plain, bare, lists, all] = us;
    const cells = us.map((time) => time.toFixed(0));
    return `| ${write} | ${cells.join(' | ')} | ${(all / plain).toFixed(1)} | ${(lists / bare).toFixed(2)} | ${(all / lists).toFixed(2)} |`;
  });
  return [
    `| write | ${variants.join(' | ')} | all triggers, relative to the plain table | lists, relative to no triggers | history and feed, relative to lists |`,
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...rows,
  ];
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

function heading() {
  const { model } = os.cpus()[0];
  return `${new Date().toISOString().slice(0, 10)}, ${os.cpus().length} cores (${model.trim()}), ${Number(options.rows).toLocaleString('en')} rows: the database's processor time for one row, in microseconds, median of ${options.rounds} rounds in turns.`;
}
