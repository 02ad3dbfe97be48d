import type { ServerPosition } from '../query/noted-positions.js';

/** A position in the write-ahead log. Each promotion of a standby begins a new timeline. */
export interface WalPosition {
  timeline: number;
  lsn: bigint;
}

const HEX = '([0-9A-F]{1,8})';
const TEXT = new RegExp(`^${HEX}-${HEX}/${HEX}$`);
/** The size of the header of each page of the log, and the usual size of a page. */
const PAGE_HEADER = 24n;
const PAGE = 8192n;

/** Formats a position, such as `1-16/B374D848`: the timeline, and the LSN in PostgreSQL's format. */
export function formatPosition({ timeline, lsn }: WalPosition): string {
  const [high, low] = [lsn >> 32n, lsn & 0xffffffffn];
  return `${timeline.toString(16)}-${high.toString(16)}/${low.toString(16)}`.toUpperCase();
}

/** Parses a position; undefined if the text is not one. */
export function parsePosition(text: string): WalPosition | undefined {
  const [, timeline, high, low] = TEXT.exec(text) ?? [];
  if (!timeline) return undefined;
  return { timeline: parseInt(timeline, 16), lsn: lsnOf(`${high}/${low}`) };
}

function lsnOf(text: string): bigint {
  const [high, low] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

export function positionOf({ timeline, lsn }: ServerPosition): WalPosition {
  const tli = typeof timeline === 'number' ? timeline : parseInt(timeline, 16);
  return { timeline: tli, lsn: lsnOf(lsn) };
}

/**
 * True if a server that has replayed `position` has everything that was committed before `other`. An LSN of an
 * older timeline may belong to WAL that a promoted server never received, so the timeline counts too.
 */
export function includes(position: WalPosition, other: WalPosition): boolean {
  return position.timeline >= other.timeline && position.lsn >= other.lsn;
}

/**
 * Returns the end of the last record. At a page boundary the server adds the page header to the position, which a
 * replica reports only after the next record has arrived.
 */
export function endOfLastRecord(read: ServerPosition): WalPosition {
  const { timeline, lsn } = positionOf(read);
  return { timeline, lsn: lsn % PAGE === PAGE_HEADER ? lsn - PAGE_HEADER : lsn };
}
