import { nfc } from '../../entity/normalize-texts.js';
import type { ProjectListQuery } from './project-list-query.js';

/** What of a query selects projects; the rest is about pages, order and fields. */
export type ProjectFilters = Omit<
  ProjectListQuery,
  'limit' | 'after' | 'sortBy' | 'descending' | 'fields' | 'count'
>;

export type FilterName = keyof ProjectFilters;

interface ListFilter<T> {
  /** The value that statements take. */
  toValue: (given: T) => unknown;
  /** What the text of a statement depends on; default: whether the filter is given. */
  shapeOf?: (given: T) => number;
  /** Whether the index of a technology (`project_technologies`) answers it without the project. */
  isInTechnologyIndex: boolean;
}

/**
 * Every filter of the list. The values of statements, the keys under which statements are kept, the
 * choice of the index and what a cursor belongs to are derived from these rows, so that no filter can
 * be forgotten in one of them.
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

/** The values of the filters for a statement; undefined for those that are not given. */
export function filterValues(query: ProjectFilters): Record<FilterName, unknown> {
  const values = FILTER_NAMES.map((name) => {
    const given = query[name];
    return [name, given === undefined ? undefined : filterOf(name).toValue(given)];
  });
  return Object.fromEntries(values) as Record<FilterName, unknown>;
}

/** What the text of a statement depends on. */
export function filterShapes(query: ProjectFilters): number[] {
  return FILTER_NAMES.map((name) => {
    const given = query[name];
    if (given === undefined) return 0;
    return filterOf(name).shapeOf?.(given) ?? 1;
  });
}

/** Where the rows of a page are found. */
export type Plan =
  /** In the index of one technology, or of each of several alternatives, in the order of creation. */
  | 'technology-index'
  /** In the search index; in parts of the catalogue, in the order of creation, where it finds many. */
  | 'search-in-parts'
  /** In an index in the order of the sort, or in the search index: the planner of the database decides. */
  | 'planner';

export function planOf(query: ProjectListQuery): Plan {
  const { sortBy = 'createdAt', technology = [], anyTechnology = [] } = query;
  const walks = technology.length + (anyTechnology.length > 0 ? 1 : 0);
  if (sortBy !== 'createdAt' || walks === 0) return 'planner';
  const given = FILTER_NAMES.filter((name) => query[name] !== undefined);
  const isAnswered = given.every((name) => PROJECT_FILTERS[name].isInTechnologyIndex);
  if (walks === 1 && isAnswered) return 'technology-index';
  return technology.length > 0 ? 'search-in-parts' : 'planner';
}

function normalizedTexts(texts: string[]): string[] {
  return texts.map(nfc);
}

function toText(moment: Date): string {
  return moment.toISOString();
}
