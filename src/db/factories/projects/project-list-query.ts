import { DEFAULT_LIMIT } from '../../entity/keyset-list.js';
import { DataError } from '../../errors.js';
import type { Project } from '../../schema.js';
import { PROJECT } from './columns.js';

export const PROJECT_SORT_KEYS = ['createdAt', 'updatedAt', 'name'] as const;
export const PROJECT_FIELDS = Object.keys(PROJECT.columns) as (keyof Project)[];
export const COUNTS = ['none', 'estimated', 'exact'] as const;

/** The end of a page: the sort key and the id of its last project. */
export interface Position {
  key: string;
  id: string;
}

/** The query of a list, for HTTP and for code. A project must match all filters. */
export interface ProjectListQuery {
  /** The maximum number of projects in a page; a page of large projects has fewer. Default 50. */
  limit?: number;
  /** The end of the previous page, from its `next`. */
  after?: Position;
  /** Default `createdAt`. */
  sortBy?: (typeof PROJECT_SORT_KEYS)[number];
  /** Default true: the newest project, or the last name, comes first. */
  descending?: boolean;
  /** The project must use all of these. */
  technology?: string[];
  /** The project must use at least one of these. */
  anyTechnology?: string[];
  /** Words in name, technologies or description, in the syntax of `searchText`. Typos in names are tolerated. */
  q?: string;
  /** The project was created at or after this time. */
  createdFrom?: Date;
  /** The project was created before this time. */
  createdTo?: Date;
  updatedFrom?: Date;
  updatedTo?: Date;
  /** The fields to read; default all. */
  fields?: (keyof Project)[];
  /** How to count all matches; default `none`. */
  count?: (typeof COUNTS)[number];
}

/** A query with all its defaults. A list of technologies that is not given is empty. */
export type NormalizedQuery = ProjectListQuery &
  Required<
    Pick<
      ProjectListQuery,
      'limit' | 'sortBy' | 'descending' | 'technology' | 'anyTechnology' | 'count'
    >
  >;

/** Fills in every default of a list. Throws `invalid_value` for a limit below 1. */
export function normalizeQuery(query: ProjectListQuery): NormalizedQuery {
  const {
    limit = DEFAULT_LIMIT,
    sortBy = 'createdAt',
    descending = true,
    technology = [],
    anyTechnology = [],
    count = 'none',
  } = query;
  if (!Number.isInteger(limit) || limit < 1)
    throw new DataError('invalid_value', 'The limit of a page must be a whole number from 1.');
  return { ...query, limit, sortBy, descending, technology, anyTechnology, count };
}
