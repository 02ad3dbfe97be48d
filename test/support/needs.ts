import { accessSync, constants } from 'node:fs';
import path from 'node:path';

/** Programs that some tests need: the names they go by, and the Debian package that brings them. */
const PROGRAMS = {
  chromium: { names: ['chromium', 'chromium-browser', 'google-chrome'], package: 'chromium' },
  pgbouncer: { names: ['pgbouncer'], package: 'pgbouncer' },
  'nats-server': { names: ['nats-server'], package: 'nats-server' },
  openssl: { names: ['openssl'], package: 'openssl' },
};
/** Debian keeps servers here, and leaves it out of the PATH of ordinary users. */
const FOLDERS = [...(process.env.PATH ?? '').split(path.delimiter), '/usr/sbin'];

/** Jest's own `it` and `describe`, or ones that skip. */
interface Tests {
  it: (name: string, work: () => Promise<void>, timeoutMs?: number) => void;
  describe: (name: string, block: () => void) => void;
}

/**
 * For tests that need a program. Without the program they are skipped by name, and standard error says why; with
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

/** Where the program is; undefined where it is not installed. */
export function fileOf(program: keyof typeof PROGRAMS): string | undefined {
  const { names } = PROGRAMS[program];
  return names.flatMap((name) => FOLDERS.map((folder) => path.join(folder, name))).find(runs);
}

/** For tests that cannot run everywhere. Where they cannot, they are skipped by name, and standard error says why. */
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
