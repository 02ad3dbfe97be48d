/** A cheap first check: it matches all texts that may begin or end a transaction. */
const SUSPICIOUS = /\b(?:begin|start|commit|end|rollback|abort|prepare)\b/i;

/**
 * Matches comments, strings, quoted names and dollar-quoted bodies, in which words and semicolons have no effect. If
 * one of them does not end, it includes the rest of the text, which the server refuses. A dollar inside a name does
 * not begin a body.
 */
const OPAQUE = new RegExp(
  [
    /--[^\n\r]*/,
    /\/\*/,
    /(?<![\w$\u0080-\uffff])e'(?:[^'\\]|\\.|'')*(?:'|$)/,
    /'(?:[^']|'')*(?:'|$)/,
    /"(?:[^"]|"")*(?:"|$)/,
    /(?<![\w$\u0080-\uffff])\$((?:[a-z_\u0080-\uffff][\w\u0080-\uffff]*)?)\$.*?(?:\$\1\$|$)/,
  ]
    .map(({ source }) => source)
    .join('|'),
  'gis',
);

/** In the body of a function in standard SQL, `end` and the semicolons do not belong to a transaction. */
const SQL_BODY = /\bbegin\s+atomic\b|\bcase\b|\bend\b|;/gi;

/** Matches the first words of a statement that controls a transaction. ROLLBACK TO a savepoint stays inside it. */
const CONTROL =
  /^\s*(?:begin|start\s+transaction|commit|end|abort|prepare\s+transaction|rollback(?!(?:\s+(?:work|transaction))?\s+to\b))\b/i;

/**
 * True if a text contains a statement that begins or ends a transaction, at its beginning or after a semicolon. The
 * text is parsed as PostgreSQL does with the default value of `standard_conforming_strings`.
 */
export function controlsTransaction(text: string): boolean {
  if (!SUSPICIOUS.test(text)) return false;
  return withoutBodies(withoutOpaque(text))
    .split(';')
    .some((statement) => CONTROL.test(statement));
}

function withoutOpaque(text: string): string {
  let bare = '';
  let at = 0;
  OPAQUE.lastIndex = 0;
  for (let found = OPAQUE.exec(text); found; found = OPAQUE.exec(text)) {
    const isComment = /^(?:--|\/\*)/.test(found[0]);
    bare += text.slice(at, found.index) + (isComment ? ' ' : '?');
    if (found[0] === '/*') OPAQUE.lastIndex = endOfComment(text, found.index);
    at = OPAQUE.lastIndex;
  }
  return bare + text.slice(at);
}

/** Comments may be nested. */
function endOfComment(text: string, start: number): number {
  const bound = /\/\*|\*\//g;
  bound.lastIndex = start;
  let depth = 0;
  for (let found = bound.exec(text); found; found = bound.exec(text)) {
    depth += found[0] === '/*' ? 1 : -1;
    if (depth === 0) return bound.lastIndex;
  }
  return text.length;
}

function withoutBodies(text: string): string {
  let depth = 0;
  return text.replace(SQL_BODY, (word) => {
    const isInside = depth > 0;
    if (/^begin/i.test(word)) depth++;
    else if (isInside && /^case$/i.test(word)) depth++;
    else if (isInside && /^end$/i.test(word)) depth--;
    return isInside ? ' ' : word;
  });
}
