import type { Project } from '../../schema.js';
import { PROJECT } from './columns.js';

export const PROJECT_SORT_KEYS = ['createdAt', 'updatedAt', 'name'] as const;
export const PROJECT_FIELDS = Object.keys(PROJECT.columns) as (keyof Project)[];
export const COUNTS = ['none', 'estimated', 'exact'] as const;

/** Where a page ends: the sort key and the id of its last project. */
export interface Position {
  key: string;
  id: string;
}

/** What to list: every filter must hold. The one query object, for HTTP, the factory and code. */
export interface ProjectListQuery {
  /** The most projects of a page, which holds fewer where they are large; default 50. */
  limit?: number;
  /** The end of the page before, from its `next`. */
  after?: Position;
  /** Default `createdAt`. */
  sortBy?: (typeof PROJECT_SORT_KEYS)[number];
  /** Default true: the newest, or the end of the alphabet, first. */
  descending?: boolean;
  /** Uses all of these. */
  technology?: string[];
  /** Uses one of these. */
  anyTechnology?: string[];
  /** As `searchText` reads it, over name, technologies and description; forgives a typo in a name. */
  q?: string;
  /** From this moment on. */
  createdFrom?: Date;
  /** Before this moment. */
  createdTo?: Date;
  updatedFrom?: Date;
  updatedTo?: Date;
  /** The fields to read; default all. */
  fields?: (keyof Project)[];
  /** Whether to count all that match; default `none`. */
  count?: (typeof COUNTS)[number];
}
