import { applyDecorators } from '@nestjs/common';
import {
  ApiExtraModels,
  ApiProperty,
  ApiPropertyOptional,
  ApiSchema,
  type ApiSchemaOptions,
  getSchemaPath,
} from '@nestjs/swagger';
import { Allow } from 'class-validator';
import { ListOf, ObjectOf } from '../../http/contract/parts.js';
import { EntityTags, Uuid } from '../../http/contract/field-validators.js';
import { EXAMPLE_ID, ProjectDto } from './project.dto.js';
import { WriteProjectDto } from '../projects.resource.js';

const MAX_OPERATIONS = 1000;

const Op = (op: string) => applyDecorators(ApiProperty({ enum: [op] }), Allow());

const Project = () =>
  applyDecorators(ApiProperty({ type: WriteProjectDto }), ObjectOf(WriteProjectDto));

const Id = () =>
  applyDecorators(
    ApiProperty({ format: 'uuid', description: 'A UUID of any version, in one operation only.' }),
    Uuid(),
  );

const IfMatch = () =>
  applyDecorators(
    ApiPropertyOptional({
      type: String,
      example: '"7"',
      description:
        'Works like the header If-Match: a list of ETags that must include the ETag of the project, or `*`.',
    }),
    EntityTags(),
  );

const schemaOf = (name: string, description: string) =>
  ApiSchema({ name, description, additionalProperties: false } as ApiSchemaOptions);

@schemaOf('CreateOperation', 'Creates a project with an id that the service creates.')
export class CreateOperationDto {
  @Op('create')
  op!: 'create';

  @Project()
  project!: WriteProjectDto;
}

@schemaOf(
  'ReplaceOperation',
  'Replaces a project, or creates it with this id. With `ifMatch` it only replaces.',
)
export class ReplaceOperationDto {
  @Op('replace')
  op!: 'replace';

  @Id()
  id!: string;

  @IfMatch()
  ifMatch?: string;

  @Project()
  project!: WriteProjectDto;
}

@schemaOf('DeleteOperation', 'Removes a project, which must exist.')
export class DeleteOperationDto {
  @Op('delete')
  op!: 'delete';

  @Id()
  id!: string;

  @IfMatch()
  ifMatch?: string;
}

const OPERATIONS = {
  create: CreateOperationDto,
  replace: ReplaceOperationDto,
  delete: DeleteOperationDto,
};

const EXAMPLE_PROJECT = {
  name: 'PostgreSQL',
  description: 'The object-relational database.',
  technologies: ['C', 'SQL'],
};

/** The body of POST …/batch. */
@ApiExtraModels(...Object.values(OPERATIONS))
@ApiSchema({
  name: 'ProjectBatch',
  description: 'The operations. The service executes all of them, or none.',
})
export class ProjectBatchDto {
  @ApiProperty({
    type: 'array',
    minItems: 1,
    maxItems: MAX_OPERATIONS,
    items: {
      oneOf: Object.values(OPERATIONS).map((type) => ({ $ref: getSchemaPath(type) })),
      discriminator: {
        propertyName: 'op',
        mapping: Object.fromEntries(
          Object.entries(OPERATIONS).map(([op, type]) => [op, getSchemaPath(type)]),
        ),
      },
    },
    example: [
      { op: 'create', project: EXAMPLE_PROJECT },
      { op: 'replace', id: EXAMPLE_ID, project: EXAMPLE_PROJECT },
    ],
  })
  @ListOf({ maxItems: MAX_OPERATIONS, by: 'op', types: OPERATIONS })
  operations!: (CreateOperationDto | ReplaceOperationDto | DeleteOperationDto)[];
}

@ApiSchema({ name: 'OperationResult', description: 'The result of one operation.' })
export class OperationResultDto {
  @ApiProperty({ enum: Object.keys(OPERATIONS) })
  op!: keyof typeof OPERATIONS;

  @ApiProperty({
    type: 'integer',
    enum: [200, 201],
    description: '201 if the project was created, 200 if it was replaced or removed.',
  })
  status!: 200 | 201;

  @ApiPropertyOptional({
    type: String,
    example: '"1"',
    description: 'The ETag of the project; absent if it was removed.',
  })
  etag?: string;

  @ApiPropertyOptional({
    type: ProjectDto,
    description:
      'The project as it is now, or, if it was removed, in its last state. Removed projects are left out after one mebibyte of them in the answer; their history still has them.',
  })
  project?: ProjectDto;
}
