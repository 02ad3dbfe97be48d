import { isStartedByNpm } from '../config/npm.js';
import { onSignal } from '../process/signals.js';
import { runCommand } from './program.js';
import { failWhenOutputFails } from './terminal.js';

failWhenOutputFails();
process.exitCode = await runCommand(process.argv.slice(2), {
  streams: { input: process.stdin, output: process.stdout, errors: process.stderr },
  onInterrupt: (interrupt) => onSignal(interrupt, { endWithParent: isStartedByNpm() }),
});
