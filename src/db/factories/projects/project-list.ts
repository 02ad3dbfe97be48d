import { and, type SQL, sql } from 'drizzle-orm';
import type { Db } from '../../connection.js';
import { DataError } from '../../errors.js';
import { isMeasured } from '../../query/page-bytes.js';
import { statementCache } from '../../query/prepared.js';
import { projects } from '../../schema.js';
import { checkedId } from '../../entity/checked-id.js';
import { estimateCount, prepareCount, prepareUses } from './project-count.js';
import {
  afterCursor,
  candidateFilters,
  createdOnDays,
  daysQuery,
  inOrder,
  isSearched,
  LIMIT,
  prepareEnds,
  prepareSearch,
  projectFilters,
  searchedBy,
  shapeOf,
  valuesOf,
  technologyScan,
} from './project-list-filters.js';
import { DEFAULT_LIMIT } from '../../entity/keyset-list.js';
import { nfc } from '../../entity/normalize-texts.js';
import { largeTextsRead, projectTexts } from './project-json.js';
import { planOf } from './project-filters.js';
import type { ProjectListQuery } from './project-list-query.js';
import { type FoundTexts, isFull, pageOf, prepareTexts, ProjectPage } from './project-page.js';

/** The number of projects of a technology that are checked before the search index is used for the other filters. */
const CANDIDATES = 1000;
/** Up to this estimated number of matches the search index is used without parts. */
const FEW = 500;
/** The tolerated factor by which an estimate for a technology with words may be too low. */
const ESTIMATE_TOLERANCE = 4;
/** A reserve on the number of days that would fill a page, because projects are not spread evenly. */
const DAYS_SPARE = 2;
const DAYS_GROWTH = 8;
/** Each day is looked up in the search index. */
const MAX_DAYS = 1000;
/** The number of query shapes whose statements are cached. */
const MAX_SHAPES = 200;

type Values = ReturnType<typeof valuesOf>;

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

  /** Throws `invalid_value` for a limit below 1, or for words of which none is required. */
  async function listProjects(query: ProjectListQuery = {}): Promise<ProjectPage> {
    checkLimit(query);
    const values = valuesOf(query);
    if (query.count === undefined || query.count === 'none') {
      return pageOf(query, await findRows(query, values));
    }
    const [rows, total] = await Promise.all([findRows(query, values), countAll(query, values)]);
    const { json, next } = pageOf(query, rows);
    return new ProjectPage(json, next, total, query.count === 'estimated');
  }

  async function findRows(query: ProjectListQuery, values: Values): Promise<FoundTexts[]> {
    const plan = planOf(query);
    if (plan === 'technology-index') return await scanTechnologies(query, values);
    const searched = await withSearch(query, values);
    if (plan === 'search-in-parts') {
      const matches = await estimateCount(db, query, searched);
      if (matches > FEW) {
        const rows = await searchPart(query, searched, matches);
        if (isFull(rows, values.limit)) return rows;
      }
    }
    return await selectProjects(query, searched);
  }

  /** Searches a part of the table that probably fills the page. Fewer rows than the limit do not mean that there are no more. */
  async function searchPart(query: ProjectListQuery, searched: Values, matches: number) {
    if (await mayFillFromCandidates(query, matches)) {
      const rows = await scanCandidates(query, searched);
      if (isFull(rows, searched.limit)) return rows;
    }
    return await searchDays(query, searched, matches);
  }

  /**
   * Estimates whether the candidates contain enough matches to fill the page. The planner cannot know the
   * overlap of several technologies, and for one technology with words its estimate may be several times
   * wrong.
   */
  async function mayFillFromCandidates(query: ProjectListQuery, matches: number): Promise<boolean> {
    const { technology = [], anyTechnology = [], limit = DEFAULT_LIMIT } = query;
    if (technology.length + anyTechnology.length > 1) return true;
    const statement = cached('uses', () => prepareUses(db));
    const [row] = await statement.execute({ name: nfc(technology[0] ?? '') });
    return row === undefined || (matches / row.projects) * CANDIDATES * ESTIMATE_TOLERANCE > limit;
  }

  /** Selects the page in sort order. The planner chooses the index for these values. */
  async function selectProjects(query: ProjectListQuery, searched: Values): Promise<FoundTexts[]> {
    const statement = cached(`projects ${shapeOf(query)}`, () => prepareProjects(query));
    return await statement.execute(searched);
  }

  /**
   * Does the same as `selectProjects` in the order of creation, but only for the first days: as many as
   * would contain two pages if the matches were spread evenly, then eight times as many, and so on.
   */
  async function searchDays(query: ProjectListQuery, searched: Values, matches: number) {
    const { descending = true } = query;
    const ends = cached(`ends ${shapeOf(query)}`, () => prepareEnds(db, query));
    const statement = cached(`days ${shapeOf(query)}`, () =>
      prepareProjects(query, createdOnDays(query)),
    );
    const [row] = await ends.execute(searched);
    const { first, last, behindCursor: begin = first } = row!;
    if (first === null || last === null || begin === null) return [];
    const daysAMatch = (Math.abs(first - last) + 1) / matches;
    let count = Math.ceil(DAYS_SPARE * searched.limit * daysAMatch);
    for (; count <= Math.min(MAX_DAYS, Math.abs(begin - last)); count *= DAYS_GROWTH) {
      const days = Array.from({ length: count }, (_, i) => (descending ? begin - i : begin + i));
      const rows = await statement.execute({
        ...searched,
        days: daysQuery(days),
        lastDay: days.at(-1),
      });
      if (isFull(rows, searched.limit)) return rows;
    }
    return [];
  }

  function prepareProjects(query: ProjectListQuery, within?: SQL) {
    const key = sql`${projects[query.sortBy ?? 'createdAt']}`;
    const id = sql`${projects.id}`;
    const found = db
      .select(projectTexts(query.fields))
      .from(projects)
      .where(and(projectFilters(query), within, afterCursor(query, key, id)))
      .orderBy(inOrder(query, key, id))
      .limit(sql.placeholder('limit'));
    return prepareTexts(db, 'projects', found, query.limit);
  }

  /** Scans the index of one technology, or of each of several alternatives, in the order of creation. */
  async function scanTechnologies(query: ProjectListQuery, values: Values) {
    const statement = cached(`technologies ${shapeOf(query)}`, () =>
      prepareScan(query, technologyScan(query, sql`${LIMIT}`)),
    );
    return await statement.execute(values);
  }

  /**
   * Scans the index of the rarest technology and checks the other filters, for at most `CANDIDATES` of its
   * projects. Fewer rows than the limit do not mean that there are no more.
   */
  async function scanCandidates(query: ProjectListQuery, values: Values) {
    const statement = cached(`candidates ${shapeOf(query)}`, () => {
      const scan = technologyScan(query, sql.raw(String(CANDIDATES)));
      return prepareScan(query, scan, candidateFilters(query));
    });
    const { q } = query;
    const words = { q, technology: undefined, anyTechnology: undefined };
    return await statement.execute(q === undefined ? values : await withSearch(words, values));
  }

  function prepareScan(query: ProjectListQuery, scan: SQL, filters?: SQL) {
    const found = db
      .select(projectTexts(query.fields))
      .from(projects)
      .innerJoin(sql`(${scan}) as found`, sql`found.project_id = ${projects.id}`)
      .where(filters)
      .orderBy(inOrder(query, sql`found.created_at`, sql`found.project_id`))
      .limit(sql.placeholder('limit'));
    return prepareTexts(db, 'technologies', found, query.limit);
  }

  /** Adds the tsquery to the values if the search index is needed. */
  async function withSearch(query: ProjectListQuery, values: Values): Promise<Values> {
    if (!isSearched(query)) return values;
    const statement = cached('search', () => prepareSearch(db));
    const [row] = await statement.execute(searchedBy(query));
    return { ...values, search: row!.search };
  }

  async function countAll(query: ProjectListQuery, values: Values): Promise<number> {
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
    return pageOf({ fields, limit: left.length }, rows);
  }

  return { listProjects, listProjectsById };
}

function checkLimit({ limit = 1 }: ProjectListQuery): void {
  if (!Number.isInteger(limit) || limit < 1)
    throw new DataError('invalid_value', 'The limit of a page must be a whole number from 1.');
}
