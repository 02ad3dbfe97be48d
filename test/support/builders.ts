import { randomUUID } from 'node:crypto';
import type { ProjectValues } from '../../src/db/factories/projects/columns.js';

/** Creates a valid project with the given values. */
export function aProject(values: Partial<ProjectValues> = {}): ProjectValues {
  return {
    name: `Project ${randomUUID()}`,
    description: 'A project of the tests',
    technologies: ['TypeScript', 'PostgreSQL'],
    ...values,
  };
}
