import { sql } from 'drizzle-orm';
import type { Db } from '../../connection.js';
import { checkedId } from '../../entity/checked-id.js';
import { nfc } from '../../entity/normalize-texts.js';
import { isMeasured } from '../../query/page-bytes.js';
import { statementCache } from '../../query/prepared.js';
import { shareReads } from '../../query/shared-reads.js';
import { projects } from '../../schema.js';
import { estimateCount, prepareCount, prepareUses } from './project-count.js';
import { isSearched } from './project-filters.js';
import { largeTextsRead, projectTexts } from './project-json.js';
import { prepareSearch, searchedBy, shapeOf, valuesOf } from './project-list-filters.js';
import {
  type NormalizedQuery,
  normalizeQuery,
  type ProjectListQuery,
} from './project-list-query.js';
import {
  type FoundTexts,
  isFull,
  pageOf,
  prepareProjects,
  prepareTexts,
  ProjectPage,
} from './project-page.js';
import {
  type Estimate,
  FEW,
  hasSeveralTechnologies,
  needsEstimate,
  planOf,
  type Strategy,
} from './project-plan.js';
import { createDaySearch } from './search-days.js';
import { prepareCandidateScan, prepareTechnologyScan } from './technology-scan.js';

/** The number of query shapes whose statements are cached. */
const MAX_SHAPES = 200;

type Values = ReturnType<typeof valuesOf>;

interface Search {
  query: NormalizedQuery;
  values: Values;
  /** Returns the values with the tsquery of the query, if it has one. */
  searched: () => Promise<Values>;
  estimate?: Estimate;
}

/**
 * Lists of projects with keyset pagination. A reader that follows the pages while others write gets each
 * project that exists all the time exactly once. A project whose sort key changes meanwhile may move.
 *
 * The lists stay fast as the table grows (docs/performance.md has the plans). Without a technology, the
 * planner chooses between an index in sort order and the search index, for the actual words. With one
 * technology, sorted by creation, the index of that technology is scanned. With several technologies, or
 * with words, the search index is used if it finds few rows. Otherwise a limited part of the index of the
 * rarest technology is scanned, and after that the search index is used for a limited number of days.
 */
export function createProjectLists(db: Db) {
  const cached = statementCache(MAX_SHAPES);
  const readShared = shareReads(readPage);
  const searchDays = createDaySearch(db, cached);

  const finders: Record<Strategy, (search: Search) => Promise<FoundTexts[]>> = {
    'technology-index': async ({ query, values }) => {
      const shape = `technologies ${shapeOf(query)}`;
      return await cached(shape, () => prepareTechnologyScan(db, query)).execute(values);
    },
    candidates: async ({ query, values }) => {
      const { q } = query;
      const shape = `candidates ${shapeOf(query)}`;
      const statement = cached(shape, () => prepareCandidateScan(db, query));
      // The scan has the technologies, so only the words are searched.
      const words = q === undefined ? values : await withSearch(normalizeQuery({ q }), values);
      return await statement.execute(words);
    },
    days: async ({ query, searched, estimate }) =>
      await searchDays(query, await searched(), estimate!.matches),
    planner: async ({ query, searched }) => {
      const shape = `projects ${shapeOf(query)}`;
      return await cached(shape, () => prepareProjects(db, query)).execute(await searched());
    },
  };

  /** Throws `invalid_value` for a limit below 1, or for words of which none is required. */
  async function listProjects(given: ProjectListQuery = {}): Promise<ProjectPage> {
    return await readShared(normalizeQuery(given));
  }

  async function readPage(query: NormalizedQuery): Promise<ProjectPage> {
    const values = valuesOf(query);
    if (query.count === 'none') return pageOf(query, await findRows(query, values));
    const [rows, total] = await Promise.all([findRows(query, values), countAll(query, values)]);
    const { json, next } = pageOf(query, rows);
    return new ProjectPage(json, next, total, query.count === 'estimated');
  }

  async function findRows(query: NormalizedQuery, values: Values): Promise<FoundTexts[]> {
    let built: Promise<Values> | undefined;
    const searched = () => (built ??= withSearch(query, values));
    const estimate = needsEstimate(query) ? await estimateOf(query, await searched()) : undefined;
    let rows: FoundTexts[] = [];
    for (const strategy of planOf(query, estimate)) {
      rows = await finders[strategy]({ query, values, searched, estimate });
      if (isFull(rows, values.limit)) break;
    }
    return rows;
  }

  async function estimateOf(query: NormalizedQuery, searched: Values): Promise<Estimate> {
    const matches = await estimateCount(db, query, searched);
    if (matches <= FEW || hasSeveralTechnologies(query)) return { matches };
    const statement = cached('uses', () => prepareUses(db));
    const [row] = await statement.execute({ name: nfc(query.technology[0]!) });
    return { matches, uses: row?.projects };
  }

  /** Returns the values with the tsquery of the query, if the search index is needed. */
  async function withSearch(query: NormalizedQuery, values: Values): Promise<Values> {
    if (!isSearched(query)) return values;
    const statement = cached('search', () => prepareSearch(db));
    const [row] = await statement.execute(searchedBy(query));
    return { ...values, search: row!.search };
  }

  async function countAll(query: NormalizedQuery, values: Values): Promise<number> {
    const searched = await withSearch(query, values);
    if (query.count === 'estimated') return await estimateCount(db, query, searched);
    const statement = cached(`count ${shapeOf(query)}`, () => prepareCount(db, query));
    const [row] = await statement.execute(searched);
    return row!.total;
  }

  /**
   * Returns the existing projects with these ids, in the order of the ids. A large page ends early; its
   * `next` then has the last project in it.
   */
  async function listProjectsById(
    ids: string[],
    { fields, after }: Pick<ProjectListQuery, 'fields'> & { after?: string } = {},
  ): Promise<ProjectPage> {
    const checked = ids.map(checkedId);
    const left = checked.slice(after === undefined ? 0 : checked.indexOf(checkedId(after)) + 1);
    const shape = `ids ${largeTextsRead(fields)} ${isMeasured(left.length)}`;
    const statement = cached(shape, () => {
      const found = db
        .select(projectTexts(fields))
        .from(projects)
        .innerJoin(
          sql`unnest(${sql.placeholder('ids')}::uuid[]) with ordinality as given (id, place)`,
          sql`given.id = ${projects.id}`,
        )
        .orderBy(sql`given.place`);
      return prepareTexts(db, 'ids', found, left.length);
    });
    const rows = await statement.execute({ ids: left });
    return pageOf({ fields, limit: left.length, sortBy: 'createdAt' }, rows);
  }

  return { listProjects, listProjectsById };
}
