/** Matches the scripts of package.json whose last command is one of these programs. */
const PROGRAM = /\bnode (dist\/main|dist\/cli\/main|scripts\/dev)\.js( \w+)?$/;

/** True if npm has started this program with a script of package.json, and therefore through a shell. */
export function isStartedByNpm(): boolean {
  return PROGRAM.test(process.env.npm_lifecycle_script ?? '');
}
