import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { type Fault, type ProblemBody, type ProblemCode, PROBLEMS } from './problem.js';
import { STATUS_KINDS } from './status-kinds.js';

/** The request id in all examples. */
export const REQUEST_ID = '0b6f3c9e-6d0f-4c8e-8f0c-3a1d5b7e9f21';

@ApiSchema({ name: 'Fault', description: 'What is wrong with one part of the request.' })
export class FaultDto implements Fault {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    description: 'With an import: the line of the file where the row begins.',
  })
  line?: number;

  @ApiProperty({
    example: 'name',
    description: 'The field, parameter or header; empty for the request as a whole.',
  })
  path!: string;

  @ApiProperty({ example: 'must be text of 1 to 255 characters' })
  message!: string;
}

@ApiSchema({
  name: 'Problem',
  description: 'The body of every failure: RFC 9457, with the field `success` of the envelope.',
})
export class ProblemDto implements ProblemBody {
  @ApiProperty({ type: 'boolean', enum: [false] })
  success!: false;

  @ApiProperty({
    format: 'uri',
    example: 'urn:problem-type:route_not_found',
    description: 'Identifies the kind of problem. It ends with the code.',
  })
  type!: string;

  @ApiProperty({
    example: PROBLEMS.route_not_found.title,
    description: 'The title, which is the same for every problem with this code.',
  })
  title!: string;

  @ApiProperty({
    type: 'integer',
    minimum: 400,
    maximum: 599,
    example: PROBLEMS.route_not_found.status,
    description: 'The status of the answer.',
  })
  status!: number;

  @ApiProperty({
    example: 'No route has this path.',
    description: 'An explanation of this failure for people.',
  })
  detail!: string;

  @ApiProperty({
    format: 'uri-reference',
    example: '/api/unknown',
    description: 'The path of the request.',
  })
  instance!: string;

  @ApiProperty({
    enum: Object.keys(PROBLEMS),
    enumName: 'ProblemCode',
    enumSchema: { description: listOfCodes() },
    description: 'The code of the problem. Clients should use this field to decide what to do.',
  })
  code!: ProblemCode;

  @ApiPropertyOptional({
    type: [FaultDto],
    description:
      'The faults, for `validation_failed`, `invalid_cursor`, `not_ready` and a batch that was refused. For `already_exists` and `invalid_value`: the fields, if they are known. For `import_refused`: the faults of the first 100 refused rows.',
  })
  errors?: FaultDto[];

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { type: 'integer', minimum: 0 },
    description:
      'With `import_refused`: how many rows were `refused`; none was `created`, `replaced` or `unchanged`.',
  })
  counts?: Record<string, number>;

  @ApiProperty({
    example: REQUEST_ID,
    description: 'The same id as in the `X-Request-Id` header.',
  })
  requestId!: string;
}

function listOfCodes(): string {
  const lines = Object.entries(PROBLEMS).map(
    ([code, { status, title }]) => `- \`${code}\` (${status}): ${title}.`,
  );
  const foreign = lines.splice(-Object.keys(STATUS_KINDS).length);
  return [
    'A code never changes its meaning.',
    '',
    ...lines,
    '',
    'Only the guards of an application that embeds this API answer these codes:',
    '',
    ...foreign,
  ].join('\n');
}
