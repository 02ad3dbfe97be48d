import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import { type Project, PROJECT_LIMITS } from '../../db/schema.js';
import { DistinctTexts, Normalized, TextLength, Trimmed } from '../../http/contract/validators.js';

/** A character that is not white space, as JSON Schema says it. */
const NOT_BLANK = '\\S';

/** The id in the document's examples: what "Try it out" puts, it then reads and removes. */
export const EXAMPLE_ID = '0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10';

/** A project, whole: the other DTOs are parts of it, and the compiler ties it to the table. */
@ApiSchema({ name: 'Project', description: 'A project, whole.' })
export class ProjectDto implements Project {
  @ApiProperty({ format: 'uuid', example: EXAMPLE_ID })
  id!: string;

  @ApiProperty({
    minLength: 1,
    maxLength: PROJECT_LIMITS.nameLength,
    pattern: NOT_BLANK,
    example: 'PostgreSQL',
    description:
      'White space around it is removed, and it is not all white space. Stored in Unicode normalization form C, as are all texts.',
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

  @ApiProperty({
    type: [String],
    maxItems: PROJECT_LIMITS.technologies,
    uniqueItems: true,
    items: {
      type: 'string',
      minLength: 1,
      maxLength: PROJECT_LIMITS.technologyLength,
      pattern: NOT_BLANK,
    },
    example: ['C', 'SQL'],
    description: 'In the order given, each once. White space around each is removed.',
  })
  @Trimmed()
  @DistinctTexts({
    maxItems: PROJECT_LIMITS.technologies,
    maxLength: PROJECT_LIMITS.technologyLength,
  })
  technologies!: string[];

  @ApiProperty({
    format: 'date-time',
    example: '2026-01-31T12:00:00.000Z',
    description: 'UTC, to the millisecond.',
  })
  createdAt!: string;

  @ApiProperty({
    format: 'date-time',
    example: '2026-01-31T12:00:00.000Z',
    description: 'When it was last written; UTC, to the millisecond.',
  })
  updatedAt!: string;

  @ApiProperty({
    type: 'integer',
    minimum: 1,
    example: 1,
    description:
      'Counts the writes to the project. The ETag of the project is this number in quotes.',
  })
  version!: number;
}
