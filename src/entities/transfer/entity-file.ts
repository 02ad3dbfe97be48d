import type { Type } from '@nestjs/common';
import { PickType } from '@nestjs/swagger';
import { IsOptional } from 'class-validator';
import type { ColumnKind } from '../../db/entity/column-kinds.js';
import type { Entity, EntityRow } from '../../db/entity/entity.js';
import type { ImportRow } from '../../db/entity/row-import.js';
import { writtenKinds } from '../../db/entity/written-columns.js';
import { Moment, Uuid, WholeNumber } from '../../http/contract/validators.js';

/** Half of the way to the last one, so that the writes that follow do not come to it. */
export const MAX_VERSION = Math.floor((2 ** 31 - 1) / 2);

/** What a file of the rows of one entity holds, and the rules that its rows keep. */
export interface EntityFile<Values extends object = object> {
  entity: Entity<EntityRow, Values>;
  /** The class by whose rules rows are checked. */
  rowDto: Type<ImportRow<Values>>;
  /** The columns that every row has. */
  kinds: ReadonlyMap<string, ColumnKind<unknown>>;
  /** The columns that a row may have. */
  optional: readonly string[];
}

/** The rules of a file follow from the class of the entity. Throws TypeError for a column without a kind. */
export function entityFile<Row extends EntityRow, Values extends object>(
  entity: Entity<Row, Values>,
  dto: Type<Row>,
): EntityFile<Values> {
  class ImportRowDto extends PickType(dto as Type<object>, entity.written as readonly never[]) {
    @IsOptional()
    @Uuid()
    id?: string;

    @IsOptional()
    @Moment()
    createdAt?: string;

    @IsOptional()
    @Moment()
    updatedAt?: string;

    @IsOptional()
    @WholeNumber(1, MAX_VERSION)
    version?: number;
  }
  return {
    entity: entity,
    rowDto: ImportRowDto as unknown as Type<ImportRow<Values>>,
    kinds: new Map(writtenKinds(entity)),
    optional: ['id', 'createdAt', 'updatedAt', 'version'],
  };
}
