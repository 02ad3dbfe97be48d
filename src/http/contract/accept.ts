import type { Request } from 'express';

/** The parameters of the answers, which a range of Accept may name. */
const PARAMETERS: Record<string, string> = { 'text/csv': '; charset=utf-8; header=present' };
const DEFAULT_PARAMETERS = '; charset=utf-8';

/**
 * The media type that the client prefers of these, by RFC 9110 12.5.1; undefined if it accepts none.
 * Each is offered with its parameters: a range with a parameter matches only what has it.
 */
export function preferredType(req: Request, types: readonly string[]): string | undefined {
  const offers = types.map((type) => type + (PARAMETERS[type] ?? DEFAULT_PARAMETERS));
  const preferred = req.accepts(offers);
  return preferred ? types[offers.indexOf(preferred)] : undefined;
}
