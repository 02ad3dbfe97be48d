import { PartialType, PickType } from '@nestjs/swagger';
import type { ProjectValues } from '../../db/factories/projects.factory.js';
import { ProjectDto } from './project.dto.js';

/** The body of POST and PUT. */
export class WriteProjectDto
  extends PickType(ProjectDto, ['name', 'description', 'technologies'])
  implements ProjectValues {}

/** The body of PATCH, a JSON merge patch (RFC 7396): what is absent is kept, and no field can be removed by `null`. */
export class PatchProjectDto
  extends PartialType(WriteProjectDto, { skipNullProperties: false })
  implements Partial<ProjectValues> {}
