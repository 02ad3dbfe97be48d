import { IsOptional } from 'class-validator';
import { PickType } from '@nestjs/swagger';
import { WRITTEN } from '../../db/factories/projects/columns.js';
import type { ProjectRow } from '../../db/factories/projects/project-import.js';
import { PROJECT_LIMITS } from '../../db/schema.js';
import { Moment, Uuid, WholeNumber } from '../../http/contract/validators.js';
import { ProjectDto } from './project.dto.js';

/** Half of the way to the last one, so that the writes that follow do not come to it. */
export const MAX_VERSION = Math.floor(PROJECT_LIMITS.version / 2);

/** A row of an imported file. */
export class ImportRowDto extends PickType(ProjectDto, WRITTEN) implements ProjectRow {
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
