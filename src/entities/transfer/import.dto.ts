import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { Transform } from 'class-transformer';
import { IsOptional } from 'class-validator';
import { OneOf } from '../../http/contract/parameter-validators.js';
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
      'The behaviour if a row is refused: `abort` writes no row (`import_refused`), `skip` writes the other rows.',
  })
  @IsOptional()
  @OneOf(ON_ERROR)
  onError: (typeof ON_ERROR)[number] = 'abort';

  @BooleanParameter(
    'Write nothing, and answer which rows would be written or refused. If an id occurs twice in the file, each row is counted as if it were the first.',
  )
  dryRun: boolean = false;

  @ApiPropertyOptional({
    enum: Object.keys(DELIMITER_NAMES),
    description:
      'The separator of the cells of a CSV file, as a name or as the character itself. Without it the separator is detected in the first row.',
  })
  @IsOptional()
  @Transform(({ value }) => namedDelimiter(value))
  @OneOf(DELIMITERS, Object.keys(DELIMITER_NAMES))
  delimiter?: Delimiter;
}

function namedDelimiter(value: unknown): unknown {
  return typeof value === 'string' && Object.hasOwn(DELIMITER_NAMES, value)
    ? DELIMITER_NAMES[value as keyof typeof DELIMITER_NAMES]
    : value;
}

@ApiSchema({ name: 'ImportReport', description: 'The number of rows of a file by outcome.' })
export class ImportReportDto implements ImportReport {
  @ApiProperty({ type: 'integer', minimum: 0, example: 1 })
  created!: number;

  @ApiProperty({ type: 'integer', minimum: 0, example: 0 })
  replaced!: number;

  @ApiProperty({
    type: 'integer',
    minimum: 0,
    example: 0,
    description: 'Rows that are equal to what is stored. They do not change its version.',
  })
  unchanged!: number;

  @ApiProperty({ type: 'integer', minimum: 0, example: 0 })
  refused!: number;

  @ApiProperty({
    type: [FaultDto],
    example: [],
    description: 'The faults of the first 100 refused rows.',
  })
  errors!: FaultDto[];
}
