import { and, type SQL, type SQLWrapper, sql } from 'drizzle-orm';
import { PLANNED_FOR_ITS_VALUES } from '../../driver/driver.js';
import { nfc } from '../../entity/normalize-texts.js';
import { projects } from '../../schema.js';
import type { NormalizedQuery, ProjectListQuery } from './project-list-query.js';

/** The filters of a query, without paging, sort and fields. */
export type ProjectFilters = Omit<
  ProjectListQuery,
  'limit' | 'after' | 'sortBy' | 'descending' | 'fields' | 'count'
>;

export type FilterName = keyof ProjectFilters;

/** The parameters of a statement, as placeholders or as values. */
export type StatementValues = Record<
  FilterName | 'limit' | 'afterKey' | 'afterId' | 'search',
  SQLWrapper
>;

/** Describes the SQL of a filter. */
type Condition =
  | {
      in: 'tsquery';
      /** The condition on a project that the scan of a technology's index has found; undefined if the scan implies it. */
      ofCandidate: (query: NormalizedQuery, value: StatementValues) => SQL | undefined;
    }
  | { in: TimeColumn; operator: '>=' | '<' };

type TimeColumn = 'createdAt' | 'updatedAt';

interface ListFilter<T> {
  /** Converts the filter to the parameter of a statement. */
  toValue: (given: T) => unknown;
  /** Returns a number that determines the text of the statement; by default only the presence of the filter does. */
  shapeOf?: (given: T) => number;
  condition: Condition;
  /** True if the index of technologies (`project_technologies`) can check it without reading the project. */
  isInTechnologyIndex: boolean;
}

/**
 * All filters of the list. The SQL and the parameters of statements, the cache keys of statements, the choice of the
 * index and the scope of cursors are derived from these rows, so that no filter can be forgotten in one of them.
 */
export const PROJECT_FILTERS: { [N in FilterName]-?: ListFilter<NonNullable<ProjectFilters[N]>> } =
  {
    technology: {
      toValue: normalizedTexts,
      shapeOf: ({ length }) => Math.min(length, 2),
      condition: {
        in: 'tsquery',
        ofCandidate: (query, value) =>
          query.technology.length > 1
            ? sql`${usesOf(value.technology)} = cardinality(${value.technology}::text[])`
            : undefined,
      },
      isInTechnologyIndex: true,
    },
    anyTechnology: {
      toValue: normalizedTexts,
      shapeOf: ({ length }) => Math.min(length, 1),
      condition: {
        in: 'tsquery',
        ofCandidate: ({ technology, anyTechnology }, value) =>
          technology.length > 0 && anyTechnology.length > 0
            ? sql`${usesOf(value.anyTechnology)} > 0`
            : undefined,
      },
      isInTechnologyIndex: true,
    },
    q: {
      toValue: nfc,
      condition: {
        in: 'tsquery',
        ofCandidate: ({ q }, value) => (q === undefined ? undefined : matchesSearch(value)),
      },
      isInTechnologyIndex: false,
    },
    createdFrom: within('createdAt', '>='),
    createdTo: within('createdAt', '<'),
    updatedFrom: within('updatedAt', '>='),
    updatedTo: within('updatedAt', '<'),
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

/** True if the query has words or technologies, which the search index finds. */
export function isSearched(query: NormalizedQuery): boolean {
  return givenFilters(query).some((name) => PROJECT_FILTERS[name].condition.in === 'tsquery');
}

/** Returns the names of the filters that the query has. An empty list of technologies is no filter. */
export function givenFilters(query: NormalizedQuery): FilterName[] {
  return FILTER_NAMES.filter((name) => {
    const given = query[name];
    return given !== undefined && !(Array.isArray(given) && given.length === 0);
  });
}

/** Returns the condition of all filters on a project; undefined if there are none. */
export function projectFilters(query: NormalizedQuery, value: StatementValues): SQL | undefined {
  return and(
    isSearched(query) ? matchesSearch(value) : undefined,
    ...timesWithin(query, 'updatedAt', sql`${projects.updatedAt}`, value),
    ...timesWithin(query, 'createdAt', sql`${projects.createdAt}`, value),
  );
}

/**
 * Returns the remaining condition on a project from the scan of a technology's index, which has checked the time of
 * creation already; undefined if there is none.
 */
export function candidateFilters(query: NormalizedQuery, value: StatementValues): SQL | undefined {
  return and(
    ...FILTER_NAMES.map((name) => {
      const { condition } = PROJECT_FILTERS[name];
      return condition.in === 'tsquery' ? condition.ofCandidate(query, value) : undefined;
    }),
    ...timesWithin(query, 'updatedAt', sql`${projects.updatedAt}`, value),
  );
}

/** Returns the conditions of the filters by a time, on the given column. */
export function timesWithin(
  query: ProjectFilters,
  of: TimeColumn,
  column: SQL,
  value: StatementValues,
): SQL[] {
  return FILTER_NAMES.flatMap((name) => {
    const { condition } = PROJECT_FILTERS[name];
    if (condition.in !== of || !query[name]) return [];
    return [sql`${column} ${sql.raw(condition.operator)} ${value[name]}::timestamptz`];
  });
}

/** The condition that the search index finds the project. */
function matchesSearch(value: StatementValues): SQL {
  return sql`${PLANNED_FOR_ITS_VALUES} ${projects.search} @@ ${value.search}::tsquery`;
}

/** Returns the number of these technologies that the found project uses. */
function usesOf(names: SQLWrapper): SQL {
  return sql`(select count(*) from unnest(${names}::text[]) as named (name)
    join project_technologies as used on used.technology = name
      and used.created_at = found.created_at and used.project_id = found.project_id)`;
}

function within(column: TimeColumn, operator: '>=' | '<'): ListFilter<Date> {
  return {
    toValue: (moment) => moment.toISOString(),
    condition: { in: column, operator },
    isInTechnologyIndex: column === 'createdAt',
  };
}

function normalizedTexts(texts: string[]): string[] {
  return texts.map(nfc);
}
