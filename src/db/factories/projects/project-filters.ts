import { nfc } from '../../entity/normalize-texts.js';
import type { ProjectListQuery } from './project-list-query.js';

/** The filters of a query, without paging, sort and fields. */
export type ProjectFilters = Omit<
  ProjectListQuery,
  'limit' | 'after' | 'sortBy' | 'descending' | 'fields' | 'count'
>;

export type FilterName = keyof ProjectFilters;

interface ListFilter<T> {
  /** Converts the filter to the parameter of a statement. */
  toValue: (given: T) => unknown;
  /** Returns a number that determines the text of the statement; by default only the presence of the filter does. */
  shapeOf?: (given: T) => number;
  /** True if the index of technologies (`project_technologies`) can check it without reading the project. */
  isInTechnologyIndex: boolean;
}

/**
 * All filters of the list. The parameters of statements, the cache keys of statements, the choice of the
 * index and the scope of cursors are derived from these rows, so that no filter can be forgotten in one of
 * them.
 */
export const PROJECT_FILTERS: { [N in FilterName]-?: ListFilter<NonNullable<ProjectFilters[N]>> } =
  {
    technology: {
      toValue: normalizedTexts,
      shapeOf: ({ length }) => Math.min(length, 2),
      isInTechnologyIndex: true,
    },
    anyTechnology: {
      toValue: normalizedTexts,
      shapeOf: ({ length }) => Math.min(length, 1),
      isInTechnologyIndex: true,
    },
    q: { toValue: nfc, isInTechnologyIndex: false },
    createdFrom: { toValue: toText, isInTechnologyIndex: true },
    createdTo: { toValue: toText, isInTechnologyIndex: true },
    updatedFrom: { toValue: toText, isInTechnologyIndex: false },
    updatedTo: { toValue: toText, isInTechnologyIndex: false },
  };

export const FILTER_NAMES = Object.keys(PROJECT_FILTERS) as FilterName[];

const filterOf = (name: FilterName) => PROJECT_FILTERS[name] as unknown as ListFilter<unknown>;

/** Returns the parameters of the filters for a statement; undefined for filters that are not given. */
export function filterValues(query: ProjectFilters): Record<FilterName, unknown> {
  const values = FILTER_NAMES.map((name) => {
    const given = query[name];
    return [name, given === undefined ? undefined : filterOf(name).toValue(given)];
  });
  return Object.fromEntries(values) as Record<FilterName, unknown>;
}

/** Returns the numbers that determine the text of the statement. */
export function filterShapes(query: ProjectFilters): number[] {
  return FILTER_NAMES.map((name) => {
    const given = query[name];
    if (given === undefined) return 0;
    return filterOf(name).shapeOf?.(given) ?? 1;
  });
}

/** The strategy that finds the rows of a page. */
export type Plan =
  /** Scan the index of one technology, or of each of several alternatives, in the order of creation. */
  | 'technology-index'
  /** Use the search index. If it finds many rows, search parts of the table in the order of creation. */
  | 'search-in-parts'
  /** Let the planner of the database choose between an index in sort order and the search index. */
  | 'planner';

export function planOf(query: ProjectListQuery): Plan {
  const { sortBy = 'createdAt', technology = [], anyTechnology = [] } = query;
  const scans = technology.length + (anyTechnology.length > 0 ? 1 : 0);
  if (sortBy !== 'createdAt' || scans === 0) return 'planner';
  const given = FILTER_NAMES.filter((name) => query[name] !== undefined);
  const isAnswered = given.every((name) => PROJECT_FILTERS[name].isInTechnologyIndex);
  if (scans === 1 && isAnswered) return 'technology-index';
  return technology.length > 0 ? 'search-in-parts' : 'planner';
}

function normalizedTexts(texts: string[]): string[] {
  return texts.map(nfc);
}

function toText(moment: Date): string {
  return moment.toISOString();
}
