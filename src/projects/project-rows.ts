import type { EntityFactory } from '../db/entity/entity.factory.js';
import { DEFAULT_SORT } from '../db/entity/keyset-list.js';
import type { ProjectValues } from '../db/factories/projects/columns.js';
import {
  createProjectsFactory,
  type ProjectsFactory,
} from '../db/factories/projects/projects.factory.js';
import type { Project } from '../db/schema.js';
import { orderOf } from './project-list.js';

/** Adapts the factory of projects to the interface that every entity has. */
export function toEntityFactory(projects: ProjectsFactory): EntityFactory<Project, ProjectValues> {
  return {
    get: (id) => projects.getProject(id),
    getMany: (ids) => projects.getProjectsById(ids) as Promise<Project[]>,
    create: (values, by) => projects.createProject(values, by),
    put: async (id, values, options) => {
      const { project, created } = await projects.putProject(id, values, options);
      return { row: project, created };
    },
    update: (id, values, options) => projects.updateProject(id, values, options),
    remove: (id, options) => projects.deleteProject(id, options),
    list: async ({ sort = DEFAULT_SORT, filters, ...query } = {}) => {
      const page = await projects.listProjects({ ...query, ...orderOf(sort), ...filters });
      return { rows: page.projects as Project[], next: page.next };
    },
    exportTo: ({ sort = DEFAULT_SORT, filters }, options) =>
      projects.exportProjects({ ...orderOf(sort), ...filters }, options),
    on: (tx) => toEntityFactory(createProjectsFactory(tx)),
  };
}
