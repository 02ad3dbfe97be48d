import type { Fault } from '../problems/problem.js';

/** The limits of a JSON text. */
export interface JsonLimits {
  /** The maximum nesting of objects and lists. */
  depth: number;
  /** The maximum number of fields in all objects together. */
  fields: number;
  /** The maximum number of items and fields in all lists and objects together. */
  values: number;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const LIST = 0x5b;
const END_OF_LIST = 0x5d;
const OBJECT = 0x7b;
const END_OF_OBJECT = 0x7d;

/**
 * Returns a fault if a JSON text exceeds a limit, with the field. It does not parse the text: a megabyte
 * takes a few milliseconds here, and up to a hundred in JSON.parse. A text that is not JSON may pass.
 */
export function jsonSizeFault(json: Uint8Array, limits: JsonLimits): Fault | undefined {
  let { depth, fields, values } = limits;
  let string: Place = [0, 0];
  let path: Place = [0, 0];
  const fault = (message: string) => ({ path: textAt(json, path), message });
  for (let at = 0; at < json.length; at++) {
    switch (json[at]) {
      case QUOTE:
        string = [at + 1, (at = endOfString(json, at + 1))];
        break;
      case COLON:
        if (depth === limits.depth - 1) path = string;
        if (--fields < 0) return fault(`contains more than ${limits.fields} fields`);
        break;
      case COMMA:
        if (--values <= 0) return fault(`contains more than ${limits.values} values`);
        break;
      case LIST:
      case OBJECT:
        if (--depth < 0) return fault(`nested more than ${limits.depth} levels deep`);
        break;
      case END_OF_LIST:
      case END_OF_OBJECT:
        depth++;
        break;
      case undefined:
      default:
    }
  }
  return undefined;
}

type Place = [start: number, end: number];

function textAt(json: Uint8Array, [start, end]: Place): string {
  return Buffer.from(json.subarray(start, end)).toString();
}

function endOfString(json: Uint8Array, start: number): number {
  let at = start;
  while (at < json.length && json[at] !== QUOTE) at += json[at] === BACKSLASH ? 2 : 1;
  return at;
}
