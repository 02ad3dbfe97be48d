import type { Db } from '../connection.js';
import type { Entity, EntityRow } from './entity.js';
import { createKeysetList } from './keyset-list.js';
import { createVersionedRows } from './versioned-rows.js';

export type EntityFactory<Row extends EntityRow, Values extends object> = ReturnType<
  typeof createEntityFactory<Row, Values>
>;

/** The queries that all entities have, on the pool or on an open transaction. */
export function createEntityFactory<Row extends EntityRow, Values extends object>(
  db: Db,
  entity: Entity<Row, Values>,
) {
  return {
    ...createVersionedRows(db, entity),
    ...createKeysetList(db, entity),
    /** The same factory on an open transaction. */
    on: (tx: Db) => createEntityFactory(tx, entity),
  };
}
