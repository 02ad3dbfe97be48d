import { notValid, Problem } from '../problems/problem.js';
import { MAX_FIELDS } from './size.js';

const MAX_DEPTH = 32;

/**
 * Refuses characters that PostgreSQL cannot store (NUL, lone surrogates), nesting that would overflow
 * the stack, and names that every object has (`__proto__`), which the validator would accept as fields.
 */
export function checkContent(value: unknown, depth = 0): void {
  if (typeof value === 'string') checkText(value);
  if (typeof value !== 'object' || value === null) return;
  if (depth === MAX_DEPTH) throw invalid('', `nested more than ${MAX_DEPTH} levels deep`);
  if (Array.isArray(value)) {
    for (const child of value) checkContent(child, depth + 1);
    return;
  }
  const names = Object.keys(value);
  if (names.length > MAX_FIELDS) {
    throw invalid('', `an object contains more than ${MAX_FIELDS} fields`);
  }
  for (const name of names) {
    checkText(name);
    if (name in Object.prototype) throw invalid(name, 'there is no such field');
    checkContent((value as Record<string, unknown>)[name], depth + 1);
  }
}

function checkText(text: string): void {
  if (text.includes('\0'))
    throw new Problem('invalid_encoding', 'The request contains the character U+0000.');
  if (!text.isWellFormed())
    throw new Problem('invalid_encoding', 'The request contains an unpaired surrogate.');
}

function invalid(path: string, message: string): Problem {
  return notValid([{ path, message }]);
}
