import { PROJECT, type ProjectValues } from '../db/factories/projects/columns.js';
import { entityResource } from '../entities/entity-resource.js';
import { EXAMPLE_ID, ProjectDto } from './dto/project.dto.js';
import { CHANGES_FACTORY, PROJECTS_DATABASE } from './projects.tokens.js';

/** The projects entity with everything that its HTTP routes need. */
export const PROJECTS = entityResource(PROJECT, {
  path: 'projects',
  dto: ProjectDto,
  exampleId: EXAMPLE_ID,
  tokens: { database: PROJECTS_DATABASE, changes: CHANGES_FACTORY },
  documentedAs: {
    changeSchema: 'Change',
    historyEntrySchema: 'HistoryEntry',
    feedOperation: 'listChanges',
  },
});

/** The DTO classes of the bodies of POST and PUT (`input`) and of PATCH (`patch`). */
export const { input: WriteProjectDto, patch: PatchProjectDto } = PROJECTS.bodies;
export type WriteProjectDto = ProjectValues;
