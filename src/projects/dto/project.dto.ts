import { ApiProperty } from '@nestjs/swagger';
import { ArrayMaxSize, ArrayUnique, IsArray } from 'class-validator';
import { type Project, PROJECT_LIMITS } from '../../db/schema.js';
import { TextLength, Trimmed } from '../../http/validators.js';

/** A project, whole: the other DTOs are parts of it, and the compiler ties it to the table. */
export class ProjectDto implements Project {
  @ApiProperty({ format: 'uuid', example: '0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10' })
  id!: string;

  @ApiProperty({
    minLength: 1,
    maxLength: PROJECT_LIMITS.nameLength,
    example: 'PostgreSQL',
    description: 'White space around it is removed.',
  })
  @Trimmed()
  @TextLength(1, PROJECT_LIMITS.nameLength)
  name!: string;

  @ApiProperty({
    minLength: 0,
    maxLength: PROJECT_LIMITS.descriptionLength,
    example: 'The object-relational database.',
  })
  @TextLength(0, PROJECT_LIMITS.descriptionLength)
  description!: string;

  @ApiProperty({
    type: [String],
    maxItems: PROJECT_LIMITS.technologies,
    uniqueItems: true,
    items: { type: 'string', minLength: 1, maxLength: PROJECT_LIMITS.technologyLength },
    example: ['C', 'SQL'],
    description: 'In the order given, each once. White space around each is removed.',
  })
  @Trimmed()
  @IsArray({ message: 'must be a list' })
  @ArrayMaxSize(PROJECT_LIMITS.technologies, {
    message: `must hold at most ${PROJECT_LIMITS.technologies}`,
  })
  @ArrayUnique({ message: 'must not name one twice' })
  @TextLength(1, PROJECT_LIMITS.technologyLength, { each: true })
  technologies!: string[];

  @ApiProperty({ format: 'date-time', example: '2026-01-31T12:00:00.000Z' })
  createdAt!: Date;

  @ApiProperty({ format: 'date-time', example: '2026-01-31T12:00:00.000Z' })
  updatedAt!: Date;

  @ApiProperty({
    type: 'integer',
    minimum: 1,
    example: 1,
    description:
      'Counts the writes to the project. The ETag of the project is this number in quotes.',
  })
  version!: number;
}
