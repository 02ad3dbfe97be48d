import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { type Fault, type ProblemBody, type ProblemCode, PROBLEMS } from './problem.js';

export class FaultDto implements Fault {
  @ApiProperty({
    example: 'name',
    description: 'The field, parameter or header; empty for the request as a whole.',
  })
  path!: string;

  @ApiProperty({ example: 'must be text of 1 to 255 characters' })
  message!: string;
}

export class ProblemDto implements ProblemBody {
  @ApiProperty({ type: 'boolean', enum: [false] })
  success!: false;

  @ApiProperty({ format: 'uri', example: 'urn:problem-type:not_found' })
  type!: string;

  @ApiProperty({ description: 'The same for every problem of this code.' })
  title!: string;

  @ApiProperty({ type: 'integer', minimum: 400, maximum: 599 })
  status!: number;

  @ApiProperty({ description: 'What went wrong this time.' })
  detail!: string;

  @ApiProperty({ description: 'The path that was asked for.' })
  instance!: string;

  @ApiProperty({
    enum: Object.keys(PROBLEMS),
    enumName: 'ProblemCode',
    description: 'Stable; what a client decides by.',
  })
  code!: ProblemCode;

  @ApiPropertyOptional({ type: [FaultDto] })
  errors?: FaultDto[];

  @ApiProperty({ description: 'As in the X-Request-Id header.' })
  requestId!: string;
}
