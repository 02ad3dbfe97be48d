const MOMENT =
  /^(\d{4})-(\d{2})-(\d{2})(?:T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d))?$/;

const LAST_MOMENT = Date.parse('9999-12-31T23:59:59.999Z');

/** True if the year in UTC is between 0001 and 9999, which PostgreSQL stores and RFC 3339 can express. */
export function isKnownYear(time: number): boolean {
  return time >= Date.parse('0001-01-01') && time <= LAST_MOMENT;
}

/** Parses an RFC 3339 date or date-time; fractions finer than a millisecond are rounded up. */
export function parseMoment(text: string): Date | undefined {
  const moment = momentOf(text);
  const isFiner = /\.\d{3}\d*[1-9]/.test(text);
  return moment && isFiner ? new Date(Math.min(moment.getTime() + 1, LAST_MOMENT)) : moment;
}

/** Parses an RFC 3339 date or date-time to the millisecond; undefined if it is not valid. */
export function momentOf(text: string): Date | undefined {
  const [, year, month, day] = MOMENT.exec(text)?.map(Number) ?? [];
  if (
    !year ||
    !month ||
    !day ||
    month > 12 ||
    day > new Date(Date.UTC(year, month, 0)).getUTCDate()
  )
    return undefined;
  const moment = new Date(text);
  return isKnownYear(moment.getTime()) ? moment : undefined;
}

/** True for a date without a time, such as 2026-01-31, that exists in the calendar. */
export function isCalendarDate(value: unknown): value is string {
  return typeof value === 'string' && value.length === 10 && momentOf(value) !== undefined;
}
