// Fails if schema.ts or src/db/functions differ from the migrations, or if the order of the journal would
// make drizzle skip a migration. It checks the output of drizzle-kit, whose exit code is 0 even after a failure.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { changedFunctions, MIGRATIONS } from './function-files.js';

const faults = [...outOfOrder(), ...changedFiles()];
if (faults.length === 0) faults.push(...missingMigration());
for (const fault of faults) console.error(fault);
if (faults.length === 0) console.log('schema.ts, src/db/functions and the migrations agree');
process.exitCode = faults.length > 0 ? 1 : 0;

function outOfOrder() {
  const { entries } = JSON.parse(readFileSync(path.join(MIGRATIONS, 'meta/_journal.json'), 'utf8'));
  return entries
    .filter((entry, index) => index > 0 && entry.when <= entries[index - 1].when)
    .map(({ tag }) => `${tag} is stamped earlier than the migration before it: generate it again`);
}

function changedFiles() {
  return changedFunctions().map(
    ({ file }) => `src/db/functions/${file} differs from the migrations: run npm run db:generate`,
  );
}

/** drizzle-kit accepts only relative paths, so the copy is in the working directory. */
function missingMigration() {
  const copy = path.relative('.', mkdtempSync('.db-check-'));
  try {
    cpSync(MIGRATIONS, copy, { recursive: true });
    const before = sqlFiles(copy);
    const output = execFileSync(
      process.execPath,
      [
        'node_modules/drizzle-kit/bin.cjs',
        'generate',
        '--dialect=postgresql',
        '--schema=src/db/schema.ts',
        `--out=${copy}`,
      ],
      { encoding: 'utf8', stdio: 'pipe' },
    );
    const added = sqlFiles(copy).filter((file) => !before.includes(file));
    if (added.length > 0)
      return [
        `schema.ts is ahead of the migrations, run npm run db:generate:\n${readFileSync(path.join(copy, added[0]), 'utf8')}`,
      ];
    return /no schema changes/i.test(output) ? [] : [`drizzle-kit could not tell:\n${output}`];
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function sqlFiles(folder) {
  return readdirSync(folder).filter((file) => file.endsWith('.sql'));
}
