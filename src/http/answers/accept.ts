import type { Request } from 'express';

/** The media type parameters of the answers, which an Accept header may ask for. */
const PARAMETERS: Record<string, string> = { 'text/csv': '; charset=utf-8; header=present' };
const DEFAULT_PARAMETERS = '; charset=utf-8';

/**
 * Returns the media type that the client prefers (RFC 9110 12.5.1); undefined if it accepts none.
 * Each type is offered with its parameters, since a range with a parameter matches only such a type.
 */
export function preferredType(req: Request, types: readonly string[]): string | undefined {
  const offers = types.map((type) => type + (PARAMETERS[type] ?? DEFAULT_PARAMETERS));
  const preferred = req.accepts(offers);
  return preferred ? types[offers.indexOf(preferred)] : undefined;
}
