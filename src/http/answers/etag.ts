import type { IncomingHttpHeaders } from 'node:http';
import { Problem } from '../problems/problem.js';

/** The strong entity tag of a row's version (RFC 9110 8.8.3): `"7"`. */
export function etagOf(version: number): string {
  return `"${version}"`;
}

/** The versions that an If-Match or If-None-Match header lists, or 'any' for `*`. */
export type Versions = number[] | 'any';

export interface Preconditions {
  /** If-Match: the row must have one of these versions. */
  versions?: Versions;
  /** If-None-Match: the row must have none of these versions; 'any' means that no row may exist. */
  notVersions?: Versions;
}

/**
 * Reads the conditions of a request from its headers; each is undefined without its header. If-Match
 * uses strong comparison, so a weak tag matches nothing; If-None-Match uses weak comparison (RFC 9110
 * 13.1). A tag that cannot be a version matches nothing. Throws `invalid_header`.
 */
export function preconditionsOf(headers: IncomingHttpHeaders): Preconditions {
  return {
    versions: versionsOf('If-Match', headers['if-match'], STRONG),
    notVersions: versionsOf('If-None-Match', headers['if-none-match'], WEAK),
  };
}

/** Parses the value of an If-Match header; undefined if the value is not valid. */
export function ifMatchOf(value: string): Versions | undefined {
  return versionsIn(value, STRONG);
}

export function areNamed(versions: Versions, version: number): boolean {
  return versions === 'any' || versions.includes(version);
}

const STRONG = /^"([1-9]\d{0,9})"$/;
const WEAK = /^(?:W\/)?"([1-9]\d{0,9})"$/;
const TAG = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g;
const MAX_TAGS = 100;
/** A version is stored in a column of type integer. */
const MAX_VERSION = 2 ** 31 - 1;
/** Long enough for a hundred tags. */
const MAX_LENGTH = 4096;

function versionsOf(name: string, header: string | undefined, tag: RegExp): Versions | undefined {
  if (header === undefined) return undefined;
  const versions = versionsIn(header, tag);
  if (versions) return versions;
  throw new Problem('invalid_header', `${name} must be * or a list of ETags such as "7".`);
}

function versionsIn(value: string, tag: RegExp): Versions | undefined {
  if (value.length > MAX_LENGTH) return undefined;
  if (value.trim() === '*') return 'any';
  const tags = value.match(TAG) ?? [];
  if (tags.length === 0 || tags.length > MAX_TAGS || !isList(value)) return undefined;
  return tags
    .map((text) => tag.exec(text)?.[1])
    .map(Number) // NaN for a tag that is not a version
    .filter((version) => version <= MAX_VERSION);
}

/** Checks that the header is a comma-separated list of tags; it may have empty elements (RFC 9110 5.6.1.2). */
function isList(header: string): boolean {
  const elements = header.replace(TAG, '\0').split(',');
  return elements.every((element) => ['', '\0'].includes(element.trim()));
}
