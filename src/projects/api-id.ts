import { ApiParam } from '@nestjs/swagger';
import { EXAMPLE_ID } from './dto/project.dto.js';

/** Documents the `:id` of a path. */
export const ApiId = () =>
  ApiParam({
    name: 'id',
    type: String,
    format: 'uuid',
    example: EXAMPLE_ID,
    description: 'The id of the project: a UUID of any version.',
  });
