import { ApiPropertyOptional, PickType } from '@nestjs/swagger';
import { IsIn, IsOptional } from 'class-validator';
import { EXPORT_FORMATS, type ExportFormat } from '../../db/factories/projects/project-export.js';
import { BooleanParameter } from '../../http/contract/boolean-parameter.js';
import { ListProjectsQuery } from './list-projects.query.js';

/** The filters and the order of the list. */
export class ExportProjectsQuery extends PickType(ListProjectsQuery, [
  'sort',
  'technology',
  'anyTechnology',
  'q',
  'createdFrom',
  'createdTo',
  'updatedFrom',
  'updatedTo',
]) {
  @ApiPropertyOptional({
    enum: EXPORT_FORMATS,
    description: 'What the file is; without it `Accept` says, and else it is `ndjson`.',
  })
  @IsOptional()
  @IsIn(EXPORT_FORMATS, { message: `must be one of: ${EXPORT_FORMATS.join(', ')}` })
  format?: ExportFormat;

  @BooleanParameter(
    'Begin a CSV file with a byte order mark, by which Excel knows that the text is UTF-8. The import passes over it.',
  )
  bom: boolean = false;
}
