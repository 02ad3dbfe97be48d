import { Problem } from './problem.js';

/** The strong entity tag of a row's version (RFC 9110 8.8.3): `"7"`. */
export function etagOf(version: number): string {
  return `"${version}"`;
}

/** One or more entity tags, or `*`: the value of If-Match and If-None-Match. */
const ETAG_LIST =
  /^\s*(\*|(W\/)?"[\x21\x23-\x7e\x80-\xff]*"(\s*,\s*(W\/)?"[\x21\x23-\x7e\x80-\xff]*")*)\s*$/;
const MAX_TAGS = 100;

/**
 * The versions that an If-Match header names, 'any' for `*`, undefined without the header. If-Match
 * compares strongly: a weak tag, or one that no version has, names none. Throws `invalid_header`.
 */
export function ifMatch(header: string | undefined): number[] | 'any' | undefined {
  const tags = parse('If-Match', header);
  if (!Array.isArray(tags)) return tags;
  return tags
    .map((tag) => /^"([1-9]\d{0,8})"$/.exec(tag)?.[1])
    .filter((version) => version !== undefined)
    .map(Number);
}

/** Whether an If-None-Match header names this version, weakly compared as the RFC has it. Throws `invalid_header`. */
export function ifNoneMatchNames(header: string | undefined, version: number): boolean {
  const tags = parse('If-None-Match', header);
  return (
    tags === 'any' || (tags?.some((tag) => tag.replace(/^W\//, '') === etagOf(version)) ?? false)
  );
}

/** Whether an If-None-Match header forbids to replace: `*` is its one form on a write. Throws `invalid_header`. */
export function createsOnly(header: string | undefined): boolean {
  const tags = parse('If-None-Match', header);
  if (Array.isArray(tags))
    throw new Problem('invalid_header', 'If-None-Match on a write takes * alone.');
  return tags === 'any';
}

function parse(name: string, header: string | undefined): string[] | 'any' | undefined {
  if (header === undefined) return undefined;
  const tags = header.match(/(W\/)?"[^"]*"/g) ?? [];
  if (!ETAG_LIST.test(header) || tags.length > MAX_TAGS) {
    throw new Problem('invalid_header', `${name} must be * or a list of entity tags such as "7".`);
  }
  return header.trim() === '*' ? 'any' : tags;
}
