import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { IsOptional } from 'class-validator';
import { WholeNumberParameter } from '../../http/validators.js';

const MAX_LIMIT = 200;

export class ListProjectsQuery {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: MAX_LIMIT,
    default: 50,
    description: 'The most projects to answer.',
  })
  @IsOptional()
  @WholeNumberParameter(1, MAX_LIMIT)
  limit: number = 50;
}

/** What a list says about itself. */
@ApiSchema({ name: 'ListMeta', description: 'What a list says about itself.' })
export class ListMetaDto {
  @ApiProperty({ type: 'integer', example: 50, description: 'The limit that was applied.' })
  limit!: number;

  @ApiProperty({
    example: false,
    description: 'Whether there are more projects than were answered.',
  })
  hasMore!: boolean;
}
