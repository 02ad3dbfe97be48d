/** The scripts of package.json whose last command is one of these programs. */
const PROGRAM = /\bnode (dist\/main|dist\/cli\/main|scripts\/dev)\.js( \w+)?$/;

/** Whether npm has started this program, by a script of package.json, and so through a shell. */
export function isStartedByNpm(): boolean {
  return PROGRAM.test(process.env.npm_lifecycle_script ?? '');
}
