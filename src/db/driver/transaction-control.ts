/** Cheap, and true for all texts that may begin or end a transaction. */
const SUSPICIOUS = /\b(?:begin|start|commit|end|rollback|abort|prepare)\b/i;

/** Comments, strings, quoted names and dollar-quoted bodies, where words and semicolons mean nothing. */
const OPAQUE =
  /--[^\n]*|\/\*.*?\*\/|\be'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\w*)\$.*?\$\1\$/gis;

/** The first words of a statement; to roll back to a savepoint stays inside the transaction. */
const CONTROL =
  /^\s*(?:begin|start\s+transaction|commit|end|abort|prepare\s+transaction|rollback(?!(?:\s+(?:work|transaction))?\s+to\b))\b/i;

/** A function's body in standard SQL, whose `begin` and `end` are none of a transaction. */
const SQL_BODY = /\bbegin\s+atomic\b/i;

/**
 * True when a text holds a statement that begins or ends a transaction, at its beginning or behind a
 * semicolon. It is read like PostgreSQL does, in all but nested comments and strings that depend on
 * `standard_conforming_strings`.
 */
export function controlsTransaction(text: string): boolean {
  if (!SUSPICIOUS.test(text)) return false;
  const bare = text.replace(OPAQUE, (quoted) => (/^[-/]/.test(quoted) ? ' ' : '?'));
  return !SQL_BODY.test(bare) && bare.split(';').some((statement) => CONTROL.test(statement));
}
