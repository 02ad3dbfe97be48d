import type { Type } from '@nestjs/common';
import { IsOptional } from 'class-validator';
import type { ColumnKind } from '../../db/entity/column-kinds.js';
import type { Entity, EntityRow } from '../../db/entity/entity.js';
import type { ImportRow } from '../../db/entity/row-import.js';
import { writtenKinds } from '../../db/entity/written-columns.js';
import { writtenFields } from '../entity.dto.js';
import { Moment, Uuid, WholeNumber } from '../../http/contract/field-validators.js';

/** Half of the highest version, so that later writes cannot reach the highest one. */
export const MAX_VERSION = Math.floor((2 ** 31 - 1) / 2);

/** The columns of a file with rows of one entity, and the rules for its rows. */
export interface EntityFile<Values extends object = object> {
  entity: Entity<EntityRow, Values>;
  /** The DTO class that validates the rows. */
  rowDto: Type<ImportRow<Values>>;
  /** The written columns. */
  kinds: ReadonlyMap<string, ColumnKind<unknown>>;
  /** The columns that a row may have. */
  optional: readonly string[];
}

const KEPT = ['id', 'createdAt', 'updatedAt', 'version'];

/** Derives the rules of a file from the class of the entity. Throws TypeError for a column without a kind. */
export function entityFile<Row extends EntityRow, Values extends object>(
  entity: Entity<Row, Values>,
  dto: Type<Row>,
): EntityFile<Values> {
  class ImportRowDto extends writtenFields(entity, dto) {
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
    optional: [...KEPT, ...Object.keys(entity.defaults)],
  };
}
