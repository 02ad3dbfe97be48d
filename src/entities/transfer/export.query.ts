import type { Type } from '@nestjs/common';
import { ApiPropertyOptional, OmitType } from '@nestjs/swagger';
import { IsOptional } from 'class-validator';
import { OneOf } from '../../http/contract/parameter-validators.js';
import { EXPORT_FORMATS, type ExportFormat } from '../../db/entity/row-export.js';
import { BooleanParameter } from '../../http/contract/boolean-parameter.js';

/** The query of an export. Each filter is a further field with its name. */
export interface ExportQuery {
  sort: string;
  format?: ExportFormat;
  bom: boolean;
}

/** Creates the DTO class for the query of an export: the filters and the sort of a list, without paging. */
export function exportQueryOf<T extends { sort: string }, K extends keyof T>(
  list: Type<T>,
  ofPages: readonly K[],
): Type<Omit<T, K> & ExportQuery> {
  class Query extends OmitType(list as Type<object>, ofPages as readonly never[]) {
    @ApiPropertyOptional({
      enum: EXPORT_FORMATS,
      description: 'The format of the file. Without it `Accept` decides; the default is `ndjson`.',
    })
    @IsOptional()
    @OneOf(EXPORT_FORMATS)
    format?: ExportFormat;

    @BooleanParameter(
      'Begin a CSV file with a byte order mark, so that Excel reads it as UTF-8. The import ignores it.',
    )
    bom: boolean = false;
  }
  return Query as unknown as Type<Omit<T, K> & ExportQuery>;
}
