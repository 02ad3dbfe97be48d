/**
 * A parameter in PostgreSQL's text format, as the server reads it in the place where it stands. All
 * go as text, so that one statement text is one prepared statement, whatever its parameters are,
 * and a statement that the driver has to send twice carries the same values both times (its own
 * serializers turn `true` into `false` then). Throws TypeError for what has no such format.
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

/** Whether it is a UUID of any version (RFC 9562), as the API takes it: PostgreSQL reads more. */
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
 * The array that PostgreSQL writes as `{a,"b c",NULL,{…}}`. The delimiter belongs to the type of the
 * elements (`pg_type.typdelim`); only that of `box` is not a comma.
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

/** The ISO 8601 text, in UTC and with milliseconds, of a moment as PostgreSQL writes it; `infinity` stays. */
export function momentOf(text: string): string {
  if (text[10] !== ' ' || text.length > 26 || !text.endsWith('+00')) return anyMomentOf(text);
  const fraction = text.slice(19, -3) || '.';
  return `${text.slice(0, 10)}T${text.slice(11, 19)}${fraction.padEnd(4, '0')}Z`;
}

/** Of a year before 1 or beyond 9999, to the microsecond, or in a session that keeps another time. */
function anyMomentOf(text: string): string {
  const time = Date.parse(text);
  return Number.isNaN(time) ? text : new Date(time).toISOString();
}

const MS_TO_2000 = Date.UTC(2000, 0);
const DAY_MS = 86_400_000;
/** Of the days that came last: to make each of a Date would take longer than all else of an export. */
const dates = new Map<number, string>();
const MOST_DATES = 10_000;

/** The same of a moment as PostgreSQL sends it in eight bytes: in microseconds since 2000. Beyond a Date's reach it is `infinity`. */
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

/** Up to the time: `2026-01-31T`. */
function dateOf(day: number): string | undefined {
  const midnight = new Date(day * DAY_MS);
  if (Number.isNaN(midnight.getTime())) return undefined;
  if (dates.size === MOST_DATES) dates.clear();
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
