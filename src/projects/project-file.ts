import { PROJECT } from '../db/factories/projects/columns.js';
import { entityFile } from '../entities/transfer/entity-file.js';
import { ProjectDto } from './dto/project.dto.js';

/** What a file of projects holds. */
export const PROJECT_FILE = entityFile(PROJECT, ProjectDto);
