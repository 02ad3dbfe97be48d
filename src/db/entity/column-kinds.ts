import { type SQL, type SQLWrapper, sql } from 'drizzle-orm';
import type { PgColumn } from 'drizzle-orm/pg-core';
import { DataError } from '../errors.js';
import { nfc } from './normalize-texts.js';

/** Defines how the values of a column are stored, and how they are written in JSON, in CSV and in statements. */
export interface ColumnKind<T> {
  /** Converts a value to its stored form. Throws `invalid_value`. */
  normalize: (value: T) => T;
  /** A parameter of a statement, in a form that casts to the type of the column. */
  toParameter: (value: T) => unknown;
  /** Returns the approximate number of characters. */
  lengthOf: (value: T) => number;
  /** Selects the text that `toJson` writes as JSON. */
  text: (column: SQLWrapper) => SQL;
  toJson: (text: string) => string;
  /** The JSON of a value, as text, written by the database. */
  json: (column: SQLWrapper) => SQL;
  /** The cell of a CSV file (RFC 4180), quotes included, written by the database. */
  cell: (column: SQLWrapper) => SQL;
  /** Parses a cell; undefined if it is not a value of this kind. */
  fromCell: (cell: string) => unknown;
  /** True if its cells are JSON. */
  isJson?: true;
  /** The message for a cell without a valid value. */
  cellRule: string;
}

export const TEXT: ColumnKind<string> = {
  normalize: nfc,
  toParameter: nfc,
  lengthOf: (value) => value.length,
  text: (column) => sql`${column}`,
  toJson: JSON.stringify,
  json: (column) => sql`to_json(${column})`,
  cell: quotedWithoutFormula,
  fromCell: withoutApostrophe,
  cellRule: 'must be text',
};

export const INTEGER: ColumnKind<number> = {
  normalize: (value) => value,
  toParameter: (value) => value,
  lengthOf: () => 10,
  text: (column) => sql`${column}::text`,
  toJson: (text) => text,
  json: (column) => sql`${column}`,
  cell: (column) => sql`${column}`,
  fromCell: (cell) => (/^-?\d{1,15}$/.test(cell) ? Number(cell) : cell),
  cellRule: 'must be a whole number',
};

export const BOOLEAN: ColumnKind<boolean> = {
  normalize: (value) => value,
  toParameter: String,
  lengthOf: () => 5,
  text: (column) => sql`${column}::text`,
  toJson: (text) => text,
  json: (column) => sql`${column}::text`,
  cell: (column) => sql`${column}::text`,
  fromCell: (cell) => (/^(true|false)$/.test(cell) ? cell === 'true' : undefined),
  cellRule: 'must be true or false',
};

/** A timestamp, as the database's answers and the history have it. */
export const MOMENT: ColumnKind<string> = {
  normalize: (value) => value,
  toParameter: (value) => value,
  lengthOf: () => 24,
  text: (column) => sql`api_moment(${column})`,
  toJson: JSON.stringify,
  json: (column) => sql`to_json(api_moment(${column}))`,
  cell: (column) => sql`api_moment(${column})`,
  fromCell: (cell) => cell,
  cellRule: 'must be a date-time such as 2026-01-31T12:00:00Z',
};

/** Returns the kind for the type of a column; undefined if it must be given explicitly. */
export function kindOfColumn(column: PgColumn): ColumnKind<unknown> | undefined {
  if (!column.notNull) return undefined; // a CSV cell cannot tell null from an empty text
  const type = column.getSQLType();
  const kinds: Record<string, unknown> = {
    text: TEXT,
    integer: INTEGER,
    boolean: BOOLEAN,
    'timestamp (3) with time zone': MOMENT,
  };
  return kinds[type.replace(/^varchar\(\d+\)$/, 'text')] as ColumnKind<unknown> | undefined;
}

/** A JSON list of distinct texts. Messages use `noun` for one of them. */
export function distinctTexts(noun: string): ColumnKind<string[]> {
  return {
    normalize: (value) => {
      if (!Array.isArray(value)) return value; // the database refuses it
      const texts = value.map(nfc);
      if (new Set(texts).size === texts.length) return texts;
      throw new DataError('invalid_value', `A ${noun} occurs twice.`);
    },
    toParameter: (value) => JSON.stringify(value.map(nfc)),
    lengthOf: (value) => value.reduce((sum, text) => sum + text.length, 0),
    text: (column) => sql`${column}::text`,
    toJson: (text) => text,
    json: (column) => sql`${column}`,
    cell: (column) => sql`'"' || replace(${column}::text, '"', '""') || '"'`,
    fromCell: listIn,
    isJson: true,
    cellRule: 'must be a JSON list such as ["C", "SQL"], which CSV writes "[""C"", ""SQL""]"',
  };
}

function listIn(cell: string): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(cell);
    return Array.isArray(value) ? (value as unknown[]) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Puts an apostrophe in front of a text that a spreadsheet would run as a formula (OWASP, CSV injection), and also of
 * a text that already begins like this. A reader removes one apostrophe and has the original text.
 */
function quotedWithoutFormula(column: SQLWrapper): SQL {
  return sql`'"' || replace(
    case when ${column} ~ E'^\\'*[=+@\\t\\r\\n\\uFF1D\\uFF0B\\uFF0D\\uFF20-]' then '''' || ${column} else ${column} end, '"', '""') || '"'`;
}

function withoutApostrophe(cell: string): string {
  return /^'+[=+\-@\t\r\n\uFF1D\uFF0B\uFF0D\uFF20]/.test(cell) ? cell.slice(1) : cell;
}
