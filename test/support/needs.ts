import { accessSync, constants } from 'node:fs';
import path from 'node:path';

/** Programs that some tests need: their names, and the Debian packages that contain them. */
const PROGRAMS = {
  chromium: { names: ['chromium', 'chromium-browser', 'google-chrome'], package: 'chromium' },
  pgbouncer: { names: ['pgbouncer'], package: 'pgbouncer' },
  'nats-server': { names: ['nats-server'], package: 'nats-server' },
  openssl: { names: ['openssl'], package: 'openssl' },
};
/** Debian installs server programs here, outside the PATH of ordinary users. */
const FOLDERS = [...(process.env.PATH ?? '').split(path.delimiter), '/usr/sbin'];

/** Jest's own `it` and `describe`, or versions that skip. */
interface Tests {
  it: (name: string, work: () => Promise<void>, timeoutMs?: number) => void;
  describe: (name: string, block: () => void) => void;
}

/**
 * For tests that need a program. Without the program they are skipped by name, and standard error says why. With
 * TEST_PROGRAMS=required, as in .ci/run, their file fails.
 */
export function withProgram(program: keyof typeof PROGRAMS): Tests & { file: string } {
  const { package: debian } = PROGRAMS[program];
  const file = fileOf(program);
  const reason = `there is no ${program} here (apt-get install ${debian})`;
  if (!file && process.env.TEST_PROGRAMS === 'required') {
    throw new Error(`TEST_PROGRAMS=required, and ${reason}`);
  }
  return { file: file ?? '', ...onlyIf(Boolean(file), reason) };
}

/** Returns the path of the program; undefined if it is not installed. */
export function fileOf(program: keyof typeof PROGRAMS): string | undefined {
  const { names } = PROGRAMS[program];
  return names.flatMap((name) => FOLDERS.map((folder) => path.join(folder, name))).find(runs);
}

/**
 * For tests that cannot run everywhere. If they cannot run, they are skipped by name, and standard error says why.
 */
export function onlyIf(condition: boolean, reason: string): Tests {
  if (condition) return { it, describe };
  const say = (name: string) => process.stderr.write(`skipped: ${name}: ${reason}\n`);
  return {
    it: (name, work) => {
      say(name);
      it.skip(name, work);
    },
    describe: (name, block) => {
      say(name);
      describe.skip(name, block);
    },
  };
}

function runs(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
