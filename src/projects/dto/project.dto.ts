import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { type Project, PROJECT_LIMITS } from '../../db/schema.js';
import { NOT_BLANK, TextListField } from '../../http/contract/fields.js';
import { Normalized, TextLength, Trimmed } from '../../http/contract/field-validators.js';

/** The id in all examples of the document, so that "Try it out" reads and removes what it has written. */
export const EXAMPLE_ID = '0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10';

/** A complete project. The other DTOs are parts of it, and the compiler compares it with the table. */
@ApiSchema({ name: 'Project', description: 'A complete project.' })
export class ProjectDto implements Project {
  @ApiProperty({ format: 'uuid', example: EXAMPLE_ID })
  id!: string;

  @ApiProperty({
    minLength: 1,
    maxLength: PROJECT_LIMITS.nameLength,
    pattern: NOT_BLANK,
    example: 'PostgreSQL',
    description:
      'White space at its ends is removed, and it must not be empty then. Like all texts it is stored in Unicode normalization form C.',
  })
  @Trimmed()
  @TextLength(1, PROJECT_LIMITS.nameLength)
  name!: string;

  @ApiProperty({
    minLength: 0,
    maxLength: PROJECT_LIMITS.descriptionLength,
    example: 'The object-relational database.',
    description: 'May be empty.',
  })
  @Normalized()
  @TextLength(0, PROJECT_LIMITS.descriptionLength)
  description!: string;

  @TextListField({
    maxItems: PROJECT_LIMITS.technologies,
    maxLength: PROJECT_LIMITS.technologyLength,
    example: ['C', 'SQL'],
    description:
      'The order is kept. Duplicates are refused. White space at the ends of each is removed.',
  })
  technologies!: string[];

  @ApiProperty({
    format: 'date-time',
    example: '2026-01-31T12:00:00.000Z',
    description: 'The time of the creation, in UTC with milliseconds.',
  })
  createdAt!: string;

  @ApiProperty({
    format: 'date-time',
    example: '2026-01-31T12:00:00.000Z',
    description: 'The time of the last write, in UTC with milliseconds.',
  })
  updatedAt!: string;

  @ApiProperty({
    type: 'integer',
    minimum: 1,
    example: 1,
    description:
      'The version, which every write to the project increases. The ETag of the project is this number in quotes.',
  })
  version!: number;
}
