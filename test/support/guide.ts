import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT } from './built.js';

/** One step of the guide: the instruction in its comment, for the following code block. */
export interface Step {
  action: string;
  target: string;
  code: string;
}

/** Returns the steps of a guide: each instruction in a comment, and the code block that follows it, if any. */
export function readSteps(guide: string): Step[] {
  const text = readFileSync(path.join(ROOT, guide), 'utf8');
  const step = /^<!-- (append|write|run|add) ?(.*?) -->\n(?:\n+```\w+\n([\s\S]*?)^```$)?/gm;
  return [...text.matchAll(step)].map(([, action, target, code = '']) => ({
    action: action!,
    target: target!,
    code,
  }));
}
