import type { Type } from '@nestjs/common';
import type { TrackedEntity } from '../changes/tracked-entity.js';
import type { Entity, EntityRow } from '../db/entity/entity.js';
import type { EntityFactory } from '../db/entity/entity.factory.js';
import { type BodyDtos, bodyDtosOf } from './entity.dto.js';

/** One entity with everything that its HTTP routes need. */
export interface EntityResource<
  Row extends EntityRow = EntityRow,
  Values extends object = object,
> extends TrackedEntity<EntityFactory<Row, Values>> {
  entity: Entity<Row, Values>;
  dto: Type<Row>;
  bodies: BodyDtos<Values>;
}

interface ResourceOptions<Row extends EntityRow> {
  /** The path of the list, and the plural in descriptions, such as `skills`. */
  path: string;
  /** The class that documents a row and validates the fields that clients write. */
  dto: Type<Row>;
  /** An id for the examples of the documentation. */
  exampleId?: string;
  /** Injection tokens to use instead of new ones. */
  tokens?: Partial<TrackedEntity['tokens']>;
  documentedAs?: TrackedEntity['documentedAs'];
}

/** The default id of examples. */
export const EXAMPLE_ID = '0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10';

/** Combines an entity with its path, its class and the injection tokens of its module. */
export function entityResource<Row extends EntityRow, Values extends object>(
  entity: Entity<Row, Values>,
  { path, dto, exampleId = EXAMPLE_ID, tokens, documentedAs }: ResourceOptions<Row>,
): EntityResource<Row, Values> {
  const { name } = entity;
  return {
    entity,
    name,
    path,
    dto,
    bodies: bodyDtosOf(entity, dto),
    exampleId,
    documentedAs,
    tokens: {
      database: Symbol(`${name} database`),
      changes: Symbol(`${name} changes`),
      rows: Symbol(`${name} rows`),
      ...tokens,
    },
    getRow: (rows, id) => rows.get(id),
  };
}
