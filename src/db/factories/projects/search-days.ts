import { and, type SQL, sql } from 'drizzle-orm';
import type { Db } from '../../connection.js';
import type { statementCache } from '../../query/prepared.js';
import { projects } from '../../schema.js';
import { timesWithin } from './project-filters.js';
import { afterCursor, inOrder, PLACEHOLDERS, shapeOf } from './project-list-filters.js';
import type { NormalizedQuery } from './project-list-query.js';
import { type FoundTexts, isFull, prepareProjects } from './project-page.js';

/** A reserve on the number of days that would fill a page, because projects are not spread evenly. */
const DAYS_SPARE = 2;
const DAYS_GROWTH = 8;
/** Each day is looked up in the search index. */
const MAX_DAYS = 1000;

/**
 * Returns a function that selects the page in the order of creation, but only for the first days: as many as would
 * contain two pages if the matches were spread evenly, then eight times as many, and so on. Fewer rows than the limit
 * do not mean that there are no more (docs/decisions/0010-days-in-the-search-index.md).
 */
export function createDaySearch(db: Db, cached: ReturnType<typeof statementCache>) {
  return async function searchDays(
    query: NormalizedQuery,
    searched: Record<string, unknown> & { limit: number },
    matches: number,
  ): Promise<FoundTexts[]> {
    const ends = cached(`ends ${shapeOf(query)}`, () => prepareEnds(db, query));
    const statement = cached(`days ${shapeOf(query)}`, () =>
      prepareProjects(db, query, createdOnDays(query)),
    );
    const [row] = await ends.execute(searched);
    const { first, last, behindCursor: begin = first } = row!;
    if (first === null || last === null || begin === null) return [];
    const daysAMatch = (Math.abs(first - last) + 1) / matches;
    let count = Math.ceil(DAYS_SPARE * searched.limit * daysAMatch);
    for (; count <= Math.min(MAX_DAYS, Math.abs(begin - last)); count *= DAYS_GROWTH) {
      const days = Array.from({ length: count }, (_, i) =>
        query.descending ? begin - i : begin + i,
      );
      const rows = await statement.execute({
        ...searched,
        days: daysQuery(days),
        lastDay: days.at(-1),
      });
      if (isFull(rows, searched.limit)) return rows;
    }
    return [];
  };
}

/** Returns a tsquery of the lexemes that `project_search` creates for these days. */
function daysQuery(days: number[]): string {
  return days.map((day) => `'d=${day}'`).join(' | ');
}

/**
 * The condition that a project was created on these days (`day_of`), which the search index contains. The
 * range of time is a second condition, so that an index scan in the order of creation ends with the days.
 */
function createdOnDays({ descending }: NormalizedQuery): SQL {
  const [days, last] = [sql.placeholder('days'), sql.placeholder('lastDay')];
  const end = descending ? sql`>= to_timestamp(` : sql`< to_timestamp(86400 + `;
  return sql`${projects.search} @@ ${days}::tsquery
    and ${projects.createdAt} ${end}86400 * ${last}::float8)`;
}

/**
 * Prepares a statement that reads the days of the first and the last project in the order of the list, and of
 * the first one after the cursor.
 */
function prepareEnds(db: Db, query: NormalizedQuery) {
  const [key, id] = [sql`${projects.createdAt}`, sql`${projects.id}`];
  const { descending } = query;
  const dayAt = (order: { descending: boolean }, from?: SQL) =>
    sql<number | null>`day_of((${db
      .select({ createdAt: projects.createdAt })
      .from(projects)
      .where(and(...timesWithin(query, 'createdAt', key, PLACEHOLDERS), from))
      .orderBy(inOrder(order, key, id))
      .limit(1)}))`;
  return db
    .select({
      first: dayAt({ descending }),
      last: dayAt({ descending: !descending }),
      ...(query.after && { behindCursor: dayAt({ descending }, afterCursor(query, key, id)) }),
    })
    .from(sql`(values (1)) as once`)
    .prepare('ends');
}
