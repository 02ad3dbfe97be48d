import { getTableConfig } from 'drizzle-orm/pg-core';
import { asDataError, type Cause, causesOf, DataError, foreignKeySideOf } from '../errors.js';
import type { Entity, EntityRow } from './entity.js';
import { entityNameOf } from './entity-names.js';

/**
 * Adds to the refusal of a constraint what it means for the entity: the fields, by their names in the API, or the
 * entity whose rows still refer to this one. A constraint on an expression, on a hidden column or of another table
 * names no field. Returns any other error unchanged.
 */
export function explainRefusal<Row extends EntityRow, Values extends object>(
  entity: Entity<Row, Values>,
  error: unknown,
  { isRemoval = false } = {},
): unknown {
  const code = asDataError(error)?.code;
  const refusal = refusalOf(error);
  if (!refusal) return error;
  // A removal needs no message in English to be understood.
  if (code === 'still_referenced' || (isRemoval && refusal.code === '23503'))
    return stillReferenced(entity.name, refusal, error);
  const fields = fieldsOf(entity, refusal);
  if (fields.length === 0) return error;
  if (code === 'already_exists') return alreadyExists(entity.name, fields, error);
  return code === 'invalid_value' ? invalidValue(refusal, fields, error) : error;
}

/** Makes a write of the entity throw errors that are explained. */
export function explaining<Row extends EntityRow, Values extends object, A extends unknown[], T>(
  entity: Entity<Row, Values>,
  write: (...args: A) => Promise<T>,
  options?: { isRemoval: boolean },
): (...args: A) => Promise<T> {
  return async (...args) => {
    try {
      return await write(...args);
    } catch (error) {
      throw explainRefusal(entity, error, options);
    }
  };
}

/**
 * Returns the index of the row whose values a unique constraint or a foreign key refused; undefined if the error does
 * not tell. Of several rows with the same values it is the last one, which is refused in any case.
 */
export function refusedRowOf(
  entity: Entity,
  error: unknown,
  rows: readonly object[],
): number | undefined {
  const refusal = refusalOf(error);
  const values = refusal && keyOf(refusal)?.values;
  const fields = refusal ? fieldsOf(entity, refusal) : [];
  if (values === undefined || fields.length === 0) return undefined;
  const at = rows.findLastIndex((row) => keyTextOf(entity, fields, row) === values);
  return at < 0 ? undefined : at;
}

function refusalOf(error: unknown): Cause | undefined {
  return [...causesOf(error)].find(({ table_name: table }) => typeof table === 'string');
}

function stillReferenced(name: string, { schema_name, table_name }: Cause, cause: unknown) {
  const referrer = entityNameOf(String(schema_name), String(table_name));
  const entries = referrer ? `Entries of the entity ${referrer}` : 'Other entries';
  const message = `${entries} still refer to this ${name}. Remove them, or let them refer to another one, then send the request again.`;
  return new DataError('still_referenced', message, { cause });
}

function alreadyExists(name: string, fields: string[], cause: unknown) {
  const faults = fields.map((path) => {
    const others = fields.filter((field) => field !== path);
    const together = others.length > 0 ? ` together with ${others.join(' and ')}` : '';
    return { path, message: `must be unique${together}` };
  });
  const message = `Another ${name} with the same ${fields.join(' and ')} exists already.`;
  return new DataError('already_exists', message, { cause, faults });
}

function invalidValue(refusal: Cause, fields: string[], cause: unknown) {
  const isReference = refusal.code !== '23502';
  const message = isReference ? 'must refer to an entry that exists' : 'must not be null';
  const faults = fields.map((path) => ({ path, message }));
  return new DataError('invalid_value', asDataError(cause)!.message, { cause, faults });
}

/** Returns the fields of a refused key or column; empty if the entity does not have all of them. */
function fieldsOf<Row extends EntityRow, Values extends object>(
  { table, columns }: Entity<Row, Values>,
  refusal: Cause,
): string[] {
  const { schema, name } = getTableConfig(table);
  const isOwn = refusal.table_name === name && (!schema || refusal.schema_name === schema);
  const names = new Map(Object.entries(columns).map(([field, column]) => [column.name, field]));
  const fields = isOwn ? columnsOf(refusal).map((column) => names.get(column)) : [];
  return fields.every((field) => field !== undefined) ? fields : [];
}

function columnsOf(refusal: Cause): string[] {
  const { code, column_name: column } = refusal;
  if (code === '23502') return [String(column)];
  const isKey = code === '23505' || foreignKeySideOf(refusal) === 'missing';
  return (isKey && keyOf(refusal)?.columns) || [];
}

/**
 * Reads the key from the detail `Key (owner, name)=(me, x) already exists.` The server omits it if the role may not
 * read the columns. The words depend on the language of the server, the key does not.
 */
function keyOf({ detail }: Cause): { columns: string[]; values: string } | undefined {
  const [, columns, values] = /^[^(]*\((.*?)\)=\((.*)\)/s.exec(String(detail)) ?? [];
  if (columns === undefined || values === undefined) return undefined;
  return { columns: columns.split(', ').map(unquoted), values };
}

function unquoted(identifier: string): string {
  return identifier.replace(/^"(.*)"$/s, (_, name: string) => name.replaceAll('""', '"'));
}

/** Returns the values of the fields as the server writes them in the detail of an error. */
function keyTextOf({ kinds, columns }: Entity, fields: string[], row: object): string {
  const texts = fields.map((field) => {
    const value: unknown = row[field as keyof typeof row];
    const given = value == null ? null : (kinds[field]?.toParameter(value) ?? value);
    const text = typeof given === 'string' ? given : JSON.stringify(given);
    return columns[field]!.getSQLType() === 'uuid' ? text.toLowerCase() : text;
  });
  return texts.join(', ');
}
