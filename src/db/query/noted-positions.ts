/** A position in the write-ahead log as a server reports it: the timeline `0000000A` or 10, and the LSN `16/B374D848`. */
export type ServerPosition = { timeline: string | number; lsn: string };

/** Reads the end of the write-ahead log of the primary. Everything that was committed before lies before it. */
export const END_OF_WAL = `
  select left(pg_catalog.pg_walfile_name(lsn), 8) as timeline, lsn::text as lsn
  from pg_catalog.pg_current_wal_insert_lsn() as lsn`;

/** A position that no replica replays: reads that ask for it run on the primary. */
export const BEYOND_ALL: ServerPosition = { timeline: 'FFFFFFFF', lsn: 'FFFFFFFF/FFFFFFFF' };

const positions = new WeakMap<object, ServerPosition>();

/** Notes a position behind the commit of the write that `result` comes from. */
export function notePosition(result: unknown, position: ServerPosition | undefined): void {
  if (position && typeof result === 'object' && result !== null) positions.set(result, position);
}

/** Returns the position that was noted for the result of a write or of a transaction. */
export function notedPosition(result: unknown): ServerPosition | undefined {
  return positions.get(result as object);
}

/** Notes the position of `from` also for `to`, which was made of it without another write. */
export function carryPosition(from: unknown, to: unknown): void {
  notePosition(to, notedPosition(from));
}
