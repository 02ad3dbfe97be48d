import { ApiSchema, type ApiSchemaOptions, PartialType, PickType } from '@nestjs/swagger';
import type { ProjectValues } from '../../db/factories/projects/projects.factory.js';
import { ProjectDto } from './project.dto.js';

/** The body of POST and PUT. */
@ApiSchema({ name: 'ProjectInput', description: 'What a client writes of a project.' })
export class WriteProjectDto
  extends PickType(ProjectDto, ['name', 'description', 'technologies'])
  implements ProjectValues {}

/** The body of PATCH, a JSON merge patch (RFC 7396): what is absent is kept, and no field can be removed by `null`. */
@ApiSchema({
  name: 'ProjectPatch',
  description: 'A JSON merge patch (RFC 7396) of at least one field.',
  minProperties: 1,
} as ApiSchemaOptions)
export class PatchProjectDto
  extends PartialType(WriteProjectDto, { skipNullProperties: false })
  implements Partial<ProjectValues> {}
