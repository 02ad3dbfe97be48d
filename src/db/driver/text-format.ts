/**
 * Converts a parameter to PostgreSQL's text format. All parameters are sent as text, so that one statement text
 * is one prepared statement for any types of its parameters. It also ensures that a statement that the driver
 * sends twice has the same values both times (the driver's serializers would turn `true` into `false`). Throws
 * TypeError for a value without a text format.
 */
export function toText(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (value === null) return null;
  if (Array.isArray(value)) return toArrayText(value);
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') {
    return String(value);
  }
  throw new TypeError(`A statement parameter cannot be of type ${typeof value}.`);
}

function toArrayText(values: unknown[]): string {
  const elements = values.map((value) => {
    if (Array.isArray(value)) return toArrayText(value);
    const text = toText(value);
    return text === null ? 'NULL' : `"${text.replace(/["\\]/g, '\\$&')}"`;
  });
  return `{${elements.join(',')}}`;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** True for a UUID of any version (RFC 9562) in the standard format. PostgreSQL accepts more formats. */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID.test(value);
}

const COMMA_TOKENS = /[{}]|"((?:[^"\\]|\\.)*)"|[^{},]+/gs;

function arrayTokens(delimiter: string): RegExp {
  if (delimiter === ',') return COMMA_TOKENS;
  const code = delimiter.charCodeAt(0).toString(16).padStart(2, '0');
  return new RegExp(COMMA_TOKENS.source.replace(',', `\\x${code}`), 'gs');
}

/**
 * Parses an array in PostgreSQL's format `{a,"b c",NULL,{…}}`. The delimiter belongs to the type of the elements
 * (`pg_type.typdelim`); only that of `box` is not a comma.
 */
export function parseArray(
  text: string,
  delimiter: string,
  parseElement?: (text: string) => unknown,
): unknown[] {
  const open: unknown[][] = [[]];
  for (const [token, quoted] of text.matchAll(arrayTokens(delimiter))) {
    if (token === '{') {
      open.push([]);
    } else if (token === '}') {
      const array = open.pop();
      open.at(-1)?.push(array);
    } else if (quoted === undefined && token === 'NULL') {
      open.at(-1)?.push(null);
    } else {
      const element = quoted === undefined ? token : quoted.replace(/\\(.)/gs, '$1');
      open.at(-1)?.push(parseElement ? parseElement(element) : element);
    }
  }
  return open[0]!.at(-1) as unknown[]; // the first may be the bounds, as in `[0:1]={1,2}`
}

/** Converts PostgreSQL's text of a timestamp to ISO 8601 in UTC with milliseconds; `infinity` stays unchanged. */
export function momentOf(text: string): string {
  if (text[10] !== ' ' || text.length > 26 || !text.endsWith('+00')) return anyMomentOf(text);
  const fraction = text.slice(19, -3) || '.';
  return `${text.slice(0, 10)}T${text.slice(11, 19)}${fraction.padEnd(4, '0')}Z`;
}

/** Converts the remaining timestamps: years before 1 or after 9999, microseconds, and other time zones of the session. */
function anyMomentOf(text: string): string {
  const time = Date.parse(text);
  return Number.isNaN(time) ? text : new Date(time).toISOString();
}

const MS_TO_2000 = Date.UTC(2000, 0);
const DAY_MS = 86_400_000;
/** A cache of formatted days: formatting each with a Date would take longer than the rest of an export. */
const dates = new Map<number, string>();
const MAX_DATES = 10_000;

/** Converts a binary timestamp (microseconds since 2000 in eight bytes) to the same format; `infinity` outside the range of Date. */
export function momentIn(bytes: Buffer, at: number): string {
  const microseconds = bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
  const time = MS_TO_2000 + Math.round(microseconds / 1000);
  const day = Math.floor(time / DAY_MS);
  const date = dates.get(day) ?? dateOf(day);
  return date === undefined
    ? microseconds > 0
      ? 'infinity'
      : '-infinity'
    : date + timeOf(time - day * DAY_MS);
}

/** Formats the day: `2026-01-31T`. */
function dateOf(day: number): string | undefined {
  const midnight = new Date(day * DAY_MS);
  if (Number.isNaN(midnight.getTime())) return undefined;
  if (dates.size === MAX_DATES) dates.clear();
  const date = midnight.toISOString().slice(0, -'00:00:00.000Z'.length);
  dates.set(day, date);
  return date;
}

const PADDED = Array.from({ length: 60 }, (_, i) => String(i).padStart(2, '0'));

function timeOf(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  const hours = Math.floor(minutes / 60);
  const rest = ms % 1000;
  const zeros = rest < 10 ? '00' : rest < 100 ? '0' : '';
  return `${PADDED[hours]}:${PADDED[minutes % 60]}:${PADDED[seconds % 60]}.${zeros}${rest}Z`;
}
