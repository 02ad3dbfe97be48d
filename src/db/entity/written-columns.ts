import { type SQL, sql } from 'drizzle-orm';
import type { ColumnKind } from './column-kinds.js';
import type { Entity } from './entity.js';

/** Returns the unqualified name of a column, which `given` and `excluded` in a statement also have. */
export function columnOf(entity: Entity, name: string): SQL {
  return sql`${sql.identifier(entity.columns[name]!.name)}`;
}

/** Returns the written columns with their kinds. Throws TypeError for a column without a known kind. */
export function writtenKinds(entity: Entity): (readonly [string, ColumnKind<unknown>])[] {
  return entity.written.map((name) => {
    const kind = entity.kinds[name];
    if (kind) return [name, kind] as const;
    const type = entity.columns[name]?.getSQLType();
    throw new TypeError(
      `The ${entity.name} cannot be imported and exported: give \`defineEntity\` the kind of its column ${name} (${type}, perhaps null) in \`kinds\`.`,
    );
  });
}
