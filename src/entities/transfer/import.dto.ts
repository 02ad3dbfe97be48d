import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsIn, IsOptional } from 'class-validator';
import { BooleanParameter } from '../../http/contract/boolean-parameter.js';
import { FaultDto } from '../../http/problems/problem.dto.js';
import { type Delimiter, DELIMITER_NAMES, DELIMITERS } from './csv-cells.js';
import type { ImportReport } from './file-import.js';

const ON_ERROR = ['abort', 'skip'] as const;

export class ImportQuery {
  @ApiPropertyOptional({
    enum: ON_ERROR,
    default: 'abort',
    description:
      'What a row that is refused does to the others: `abort` writes none of them (`import_refused`), `skip` writes those that are not refused.',
  })
  @IsOptional()
  @IsIn(ON_ERROR, { message: `must be one of: ${ON_ERROR.join(', ')}` })
  onError: (typeof ON_ERROR)[number] = 'abort';

  @BooleanParameter(
    'Write nothing, and answer what would be written and refused. An id that comes twice is counted as if each time were the first.',
  )
  dryRun: boolean = false;

  @ApiPropertyOptional({
    enum: Object.keys(DELIMITER_NAMES),
    description:
      'What stands between the cells of a CSV file; the character itself is accepted too. Without it the first row tells.',
  })
  @IsOptional()
  @Transform(({ value }) => namedDelimiter(value))
  @IsIn(DELIMITERS, { message: `must be one of: ${Object.keys(DELIMITER_NAMES).join(', ')}` })
  delimiter?: Delimiter;
}

function namedDelimiter(value: unknown): unknown {
  return typeof value === 'string' && Object.hasOwn(DELIMITER_NAMES, value)
    ? DELIMITER_NAMES[value as keyof typeof DELIMITER_NAMES]
    : value;
}

@ApiSchema({ name: 'ImportReport', description: 'What became of the rows of a file.' })
export class ImportReportDto implements ImportReport {
  @ApiProperty({ type: 'integer', minimum: 0, example: 1 })
  created!: number;

  @ApiProperty({ type: 'integer', minimum: 0, example: 0 })
  replaced!: number;

  @ApiProperty({
    type: 'integer',
    minimum: 0,
    example: 0,
    description: 'Those that stood already as the file has them; their version is the same.',
  })
  unchanged!: number;

  @ApiProperty({ type: 'integer', minimum: 0, example: 0 })
  refused!: number;

  @ApiProperty({
    type: [FaultDto],
    example: [],
    description: 'What is wrong with the first 100 rows that were refused.',
  })
  errors!: FaultDto[];
}
