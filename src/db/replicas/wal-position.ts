/** A position in the write-ahead log. Each promotion of a standby begins a new timeline. */
export interface WalPosition {
  timeline: number;
  lsn: bigint;
}

const HEX = '([0-9A-F]{1,8})';
const TEXT = new RegExp(`^${HEX}-${HEX}/${HEX}$`);
/** What each page of the log begins with, and the usual size of a page. */
const PAGE_HEADER = 24n;
const PAGE = 8192n;

/** The position as text, such as `1-16/B374D848`: the timeline, and the LSN as PostgreSQL writes it. */
export function formatPosition({ timeline, lsn }: WalPosition): string {
  const [high, low] = [lsn >> 32n, lsn & 0xffffffffn];
  return `${timeline.toString(16)}-${high.toString(16)}/${low.toString(16)}`.toUpperCase();
}

/** The position that a text names; undefined for a text that is none. */
export function parsePosition(text: string): WalPosition | undefined {
  const [, timeline, high, low] = TEXT.exec(text) ?? [];
  if (!timeline) return undefined;
  return { timeline: parseInt(timeline, 16), lsn: lsnOf(`${high}/${low}`) };
}

function lsnOf(text: string): bigint {
  const [high, low] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/** A position as a server tells it: `0000000A` or 10, and `16/B374D848`. */
export type ServerPosition = { timeline: string | number; lsn: string };

export function positionOf({ timeline, lsn }: ServerPosition): WalPosition {
  const tli = typeof timeline === 'number' ? timeline : parseInt(timeline, 16);
  return { timeline: tli, lsn: lsnOf(lsn) };
}

/** A later position than any that a server reaches: no replica has replayed it. */
export const BEYOND_ALL: WalPosition = { timeline: 0xffffffff, lsn: 0xffffffffffffffffn };

/**
 * Whether a server that has replayed `position` has all that was committed before `other`. An LSN of
 * an older timeline may name what a promoted server never received, so the timeline counts too.
 */
export function includes(position: WalPosition, other: WalPosition): boolean {
  return position.timeline >= other.timeline && position.lsn >= other.lsn;
}

/**
 * The end of the last record. The server counts the header of a page to the position where the next
 * record begins, which a replica reports only when that record has come.
 */
export function endOfLastRecord(lsn: bigint): bigint {
  return lsn % PAGE === PAGE_HEADER ? lsn - PAGE_HEADER : lsn;
}
