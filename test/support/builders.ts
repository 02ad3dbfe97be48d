import { randomUUID } from 'node:crypto';
import type { ProjectValues } from '../../src/db/factories/projects/columns.js';

/** A valid project, with what the test cares about put in its place. */
export function aProject(values: Partial<ProjectValues> = {}): ProjectValues {
  return {
    name: `Project ${randomUUID()}`,
    description: 'A project of the tests',
    technologies: ['TypeScript', 'PostgreSQL'],
    ...values,
  };
}
