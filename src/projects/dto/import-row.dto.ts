import { IsOptional } from 'class-validator';
import { PickType } from '@nestjs/swagger';
import type { ProjectRow } from '../../db/factories/project-import.js';
import { Moment, Uuid, WholeNumber } from '../../http/validators.js';
import { ProjectDto } from './project.dto.js';

/** The highest that an entity tag can name. */
export const MAX_VERSION = 999_999_999;

/** A row of an imported file. */
export class ImportRowDto
  extends PickType(ProjectDto, ['name', 'description', 'technologies'])
  implements ProjectRow
{
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
