import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { built, ROOT } from './built.js';

const MAIN = path.join(ROOT, 'dist/main.js');

/** The built service in a separate process. */
export interface ServiceProcess {
  /** Resolves when it listens; rejects with its errors if it ends earlier. */
  url: Promise<string>;
  /** Resolves with the exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals>;
  output(): string;
  errors(): string;
  send(signal: NodeJS.Signals): void;
  pid: number;
}

const children: ChildProcess[] = [];
const folders: string[] = [];

/** Kills the remaining processes. Call it at the end of a spec. */
export async function killServices(): Promise<void> {
  for (const child of children) child.kill('SIGKILL');
  const gone = folders.splice(0);
  await Promise.all(gone.map((folder) => rm(folder, { recursive: true, maxRetries: 10 })));
}

/** Creates an empty folder that the embedded PostgreSQL can also enter. */
export async function createFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'projects-service-process-'));
  folders.push(folder);
  await chmod(folder, 0o755);
  return folder;
}

/** Starts the service with only these variables, in an empty folder unless one is given. */
export async function startProcess(
  variables: Record<string, string | undefined> = {},
  folder?: string,
): Promise<ServiceProcess> {
  await built();
  const { PATH, HOME } = process.env;
  const child = spawn(process.execPath, [MAIN], {
    cwd: folder ?? (await createFolder()),
    env: { PATH, HOME, PORT: '0', ...variables },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk) => (output += chunk));
  child.stderr.on('data', (chunk) => (errors += chunk));
  const ended = once(child, 'close').then(([code, signal]) => code ?? signal);
  const url = new Promise<string>((resolve, reject) => {
    child.stdout.on('data', () => {
      const [, found] = /listens on (\S+),/.exec(output) ?? [];
      if (found) resolve(found);
    });
    void ended.then((code) => reject(new Error(`It ended with ${code}: ${errors}`)));
  });
  url.catch(() => undefined); // a caller that only waits for the end ignores this promise
  return {
    url,
    ended,
    output: () => output,
    errors: () => errors,
    send: (signal) => child.kill(signal),
    pid: child.pid!,
  };
}
