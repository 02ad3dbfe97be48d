import { PROJECT } from '../db/factories/projects/columns.js';
import { entityFile } from '../entities/transfer/entity-file.js';
import { ProjectDto } from './dto/project.dto.js';

/** The columns and rules of a file with projects, for import and export. */
export const PROJECT_FILE = entityFile(PROJECT, ProjectDto);
