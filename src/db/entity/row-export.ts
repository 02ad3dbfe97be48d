import { type SQL, sql } from 'drizzle-orm';
import type { Db } from '../connection.js';
import { copyOut } from '../driver/copy.js';
import { momentIn } from '../driver/text-format.js';
import type { ColumnKind } from './column-kinds.js';
import type { Entity } from './entity.js';
import { writtenKinds } from './written-columns.js';

export const EXPORT_FORMATS = ['ndjson', 'csv'] as const;
export type ExportFormat = (typeof EXPORT_FORMATS)[number];

/** The rows of a file and their order. */
export interface Selection {
  where: SQL | undefined;
  orderBy: SQL;
}

/** The format of a file, and the function that writes it. */
export interface ExportOptions {
  format: ExportFormat;
  /** Begin with a byte order mark, for CSV. */
  bom?: boolean;
  /**
   * Receives the next part of the file and the number of rows so far, and resolves when it can take another part. If it
   * rejects, the export ends.
   */
  write: (part: Buffer, rows: number) => Promise<void>;
}

/** U+FEFF in UTF-8, as a string with one character per byte. */
const BOM = '\xef\xbb\xbf';
/** The approximate size of a part; a row may be longer. */
const PART_BYTES = 64 * 1024;

/**
 * Writes all selected rows, in the state of one moment, and resolves with their number. `db` is a pool; one of its
 * connections is in use until the last `write` resolves. Nothing is written before the first part is complete, so that
 * an early failure can still be answered as an error.
 */
export async function exportRows(
  db: Db,
  entity: Entity,
  { where, orderBy, format, bom, write }: Selection & ExportOptions,
): Promise<number> {
  const layout = LAYOUTS[format](entity);
  const { table } = entity;
  const { createdAt, updatedAt, version } = table;
  const selected = db
    .select({ head: layout.head.as('head'), createdAt, updatedAt, version })
    .from(table)
    .where(where)
    .orderBy(orderBy)
    .getSQL();
  const part = new Part(bom ? BOM + layout.header : layout.header);
  let rows = 0;
  let rest: Buffer = Buffer.alloc(0);
  for await (const bytes of copyOut(db, selected)) {
    const sent = rest.length > 0 ? Buffer.concat([rest, bytes]) : bytes;
    let at = 0;
    for (let end = rowEnd(sent, at); end > 0; end = rowEnd(sent, at)) {
      if (!part.hasRoomFor(end - at)) await write(part.take(), rows);
      part.addRow(sent, at, layout.tailOf);
      at = end;
      rows++;
    }
    rest = sent.subarray(at);
  }
  await write(part.take(), rows);
  return rows;
}

/*
 * The format of a row in a binary COPY: the number of columns (two bytes), then for each column its length (four
 * bytes) and its value. The first column is the text of all fields but the last three. These are numbers of eight,
 * eight and four bytes, because formatting them here is faster than in the database.
 */
const TEXT_AT = 6;
const NUMBERS_BYTES = 3 * 4 + 8 + 8 + 4;
/** The maximum length of the text for these three fields. */
const TAIL_BYTES = 128;

/** Returns the end of the row that begins at `at`; 0 if the bytes do not contain a complete row. */
function rowEnd(bytes: Buffer, at: number): number {
  if (bytes.length < at + TEXT_AT) return 0;
  const end = at + TEXT_AT + bytes.readInt32BE(at + 2) + NUMBERS_BYTES;
  return bytes.length < end ? 0 : end;
}

/** A buffer for the next part of the file. */
class Part {
  #bytes = Buffer.allocUnsafe(PART_BYTES);
  #length: number;

  constructor(header: string) {
    this.#length = this.#bytes.write(header, 'latin1');
  }

  hasRoomFor(rowBytes: number): boolean {
    return this.#length + rowBytes + TAIL_BYTES <= this.#bytes.length;
  }

  addRow(row: Buffer, at: number, tailOf: Layout['tailOf']): void {
    const textBytes = row.readInt32BE(at + 2);
    const numbers = at + TEXT_AT + textBytes;
    if (!this.hasRoomFor(textBytes)) this.#bytes = Buffer.allocUnsafe(textBytes + TAIL_BYTES);
    this.#length += row.copy(this.#bytes, this.#length, at + TEXT_AT, numbers);
    const createdAt = momentIn(row, numbers + 4);
    const updatedAt = momentIn(row, numbers + 16);
    const tail = tailOf(createdAt, updatedAt, row.readInt32BE(numbers + 28));
    this.#length += this.#bytes.write(tail, this.#length, 'latin1');
  }

  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = Buffer.allocUnsafe(PART_BYTES);
    this.#length = 0;
    return taken;
  }
}

/** The text format of a row in a file. */
interface Layout {
  header: string;
  /** The text of all fields but the last three. */
  head: SQL<string>;
  tailOf: (createdAt: string, updatedAt: string, version: number) => string;
}

/** Returns the id, followed by each written column in the format of its kind. */
function headOf(
  entity: Entity,
  id: SQL,
  form: (kind: ColumnKind<unknown>, name: string) => SQL,
): SQL<string> {
  const written = writtenKinds(entity).map(([name, kind]) => form(kind, name));
  return sql`${sql.join([id, ...written], sql` || `)}`;
}

/** Returns the text of a column, or `text` if it is null: otherwise the text of the whole row would be null. */
function orNull(
  entity: Entity,
  name: string,
  form: ColumnKind<unknown>['json'],
  text: string,
): SQL {
  const column = entity.columns[name]!;
  const value = form(column);
  return column.notNull ? value : sql`coalesce((${value})::text, ${sql.raw(`'${text}'`)})`;
}

const LAYOUTS: Record<ExportFormat, (entity: Entity) => Layout> = {
  ndjson: (entity) => ({
    header: '',
    head: headOf(
      entity,
      sql`'{"id":"' || ${entity.table.id} || '"'`,
      (kind, name) =>
        sql`${sql.raw(`',"${name}":'`)} || ${orNull(entity, name, kind.json, 'null')}`,
    ),
    tailOf: (createdAt, updatedAt, version) =>
      `,"createdAt":"${createdAt}","updatedAt":"${updatedAt}","version":${version}}\n`,
  }),
  /** Writes a cell by RFC 4180. A text of a client is always quoted. */
  csv: (entity) => ({
    header: `${['id', ...entity.written, 'createdAt', 'updatedAt', 'version'].join()}\r\n`,
    head: headOf(
      entity,
      sql`${entity.table.id}`,
      (kind, name) => sql`',' || ${orNull(entity, name, kind.cell, '')}`,
    ),
    tailOf: (createdAt, updatedAt, version) => `,${createdAt},${updatedAt},${version}\r\n`,
  }),
};
