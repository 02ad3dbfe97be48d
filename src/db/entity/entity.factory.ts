import type { Db } from '../connection.js';
import type { Entity, EntityRow } from './entity.js';
import { createKeysetList } from './keyset-list.js';
import { createVersionedRows } from './versioned-rows.js';

type Rows<Row extends EntityRow, Values extends object> = ReturnType<
  typeof createVersionedRows<Row, Values>
>;
type Lists<Row extends EntityRow, Values extends object> = ReturnType<
  typeof createKeysetList<Row, Values>
>;

export interface EntityFactory<Row extends EntityRow, Values extends object>
  extends Rows<Row, Values>, Lists<Row, Values> {
  /** The same factory on an open transaction. */
  on(tx: Db): EntityFactory<Row, Values>;
}

/** The queries that all entities have, on the pool or on an open transaction. */
export function createEntityFactory<Row extends EntityRow, Values extends object>(
  db: Db,
  entity: Entity<Row, Values>,
): EntityFactory<Row, Values> {
  return {
    ...createVersionedRows(db, entity),
    ...createKeysetList(db, entity),
    on: (tx) => createEntityFactory(tx, entity),
  };
}
