import { ChangesController } from '../changes/changes.controller.js';
import type { TrackedEntity } from '../changes/tracked-entity.js';
import type { ProjectsFactory } from '../db/factories/projects/projects.factory.js';
import { EXAMPLE_ID, ProjectDto } from './dto/project.dto.js';
import { CHANGES_FACTORY, PROJECTS_DATABASE, PROJECTS_FACTORY } from './projects.tokens.js';

/** What the history, the feed and the live streams of projects are made from. */
export const TRACKED_PROJECT: TrackedEntity<ProjectsFactory> = {
  name: 'project',
  path: 'projects',
  dto: ProjectDto,
  exampleId: EXAMPLE_ID,
  tokens: { database: PROJECTS_DATABASE, changes: CHANGES_FACTORY, rows: PROJECTS_FACTORY },
  getRow: (projects, id) => projects.getProject(id),
  documentedAs: {
    changeSchema: 'Change',
    historyEntrySchema: 'HistoryEntry',
    feedOperation: 'listChanges',
  },
};

export const ProjectChangesController = ChangesController(TRACKED_PROJECT);
