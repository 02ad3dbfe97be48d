import { DEFAULT_LIMIT } from '../../db/entity/keyset-list.js';
import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { IsOptional } from 'class-validator';
import type { TechnologyUse } from '../../db/factories/technologies.factory.js';
import { PROJECT_LIMITS } from '../../db/schema.js';
import { PageLimit } from '../../http/contract/page-parameters.js';
import { TextLength } from '../../http/contract/field-validators.js';

@ApiSchema({ name: 'Technology', description: 'A technology that projects use.' })
export class TechnologyDto implements TechnologyUse {
  @ApiProperty({ example: 'TypeScript', description: 'The name as the projects spell it.' })
  name!: string;

  @ApiProperty({
    type: 'integer',
    minimum: 1,
    example: 12,
    description: 'The number of projects that use it.',
  })
  projects!: number;
}

export class ListTechnologiesQuery {
  @ApiPropertyOptional({
    type: String,
    minLength: 1,
    maxLength: PROJECT_LIMITS.technologyLength,
    description: 'Only technologies whose name begins with this text, in upper or lower case.',
  })
  @IsOptional()
  @TextLength(1, PROJECT_LIMITS.technologyLength)
  q?: string;

  @PageLimit('The maximum number of technologies.')
  limit: number = DEFAULT_LIMIT;
}
