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
  technologyWalk,
} from './project-list-filters.js';
import { DEFAULT_LIMIT } from '../../entity/keyset-list.js';
import { nfc } from '../../entity/normalize-texts.js';
import { largeTextsRead, projectTexts } from './project-json.js';
import { planOf } from './project-filters.js';
import type { ProjectListQuery } from './project-list-query.js';
import { type FoundTexts, isFull, pageOf, prepareTexts, ProjectPage } from './project-page.js';

/** How many projects of a technology are looked at before the search index is asked for the other filters. */
const CANDIDATES = 1000;
/** As many matches as the search index is asked for at once, by the planner's estimate. */
const FEW = 500;
/** How far an estimate of a technology with words may be too low without harm. */
const SEVERAL_TIMES = 4;
/** How many times the days that would fill a page are asked for: projects do not come evenly. */
const DAYS_SPARE = 2;
const DAYS_GROWTH = 8;
/** Each is looked up in the search index. */
const MAX_DAYS = 1000;
/** How many shapes of queries have their statements kept. */
const MAX_SHAPES = 200;

type Values = ReturnType<typeof valuesOf>;

/**
 * Lists of projects, by key. Walking page after page while others write meets every project once
 * that stands all along; one whose sort key changes meanwhile moves.
 *
 * How they stay fast as the table grows (docs/performance.md has the plans): without a technology, an
 * index in the order of the sort is walked or the search index is asked, whichever the planner finds
 * cheaper for these very words. With a technology, in order of creation, its index is walked. With
 * several, or with words, the search index is asked where it will find few; otherwise the index of the
 * rarest technology is walked so far, and then the search index is asked for so many days.
 */
export function createProjectLists(db: Db) {
  const cached = statementCache(MAX_SHAPES);

  /** Throws `invalid_value` for a limit below 1, or words of which none is to occur. */
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
    if (plan === 'technology-index') return await walkTechnologies(query, values);
    const searched = await withSearch(query, values);
    if (plan === 'search-in-parts') {
      const matches = await estimateCount(db, query, searched);
      if (matches > FEW) {
        const rows = await walkPart(query, searched, matches);
        if (isFull(rows, values.limit)) return rows;
      }
    }
    return await walkProjects(query, searched);
  }

  /** Of a part of the catalogue that is likely to fill the page; fewer rows than the limit say nothing. */
  async function walkPart(query: ProjectListQuery, searched: Values, matches: number) {
    if (await areMetSoon(query, matches)) {
      const rows = await walkCandidates(query, searched);
      if (isFull(rows, searched.limit)) return rows;
    }
    return await walkDays(query, searched, matches);
  }

  /**
   * Whether so many matches may fill the page with candidates. What several technologies have in common
   * the planner cannot know; of one with words it may be several times wrong.
   */
  async function areMetSoon(query: ProjectListQuery, matches: number): Promise<boolean> {
    const { technology = [], anyTechnology = [], limit = DEFAULT_LIMIT } = query;
    if (technology.length + anyTechnology.length > 1) return true;
    const statement = cached('uses', () => prepareUses(db));
    const [row] = await statement.execute({ name: nfc(technology[0] ?? '') });
    return row === undefined || (matches / row.projects) * CANDIDATES * SEVERAL_TIMES > limit;
  }

  /** In the order of the sort, by an index or by the search index: the planner decides, for these values. */
  async function walkProjects(query: ProjectListQuery, searched: Values): Promise<FoundTexts[]> {
    const statement = cached(`projects ${shapeOf(query)}`, () => prepareProjects(query));
    return await statement.execute(searched);
  }

  /**
   * The same in the order of creation, of the first days only: as many as would hold the page twice if
   * the matches came evenly, then eight times as many, as long as there are more.
   */
  async function walkDays(query: ProjectListQuery, searched: Values, matches: number) {
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

  /** In the order of creation, by the index of one technology, or of each of several alternatives. */
  async function walkTechnologies(query: ProjectListQuery, values: Values) {
    const statement = cached(`technologies ${shapeOf(query)}`, () =>
      prepareWalk(query, technologyWalk(query, sql`${LIMIT}`)),
    );
    return await statement.execute(values);
  }

  /**
   * The same by the rarest technology, with filters on the project, for only so many of its projects:
   * fewer rows than the limit then say nothing of the rest.
   */
  async function walkCandidates(query: ProjectListQuery, values: Values) {
    const statement = cached(`candidates ${shapeOf(query)}`, () => {
      const walk = technologyWalk(query, sql.raw(String(CANDIDATES)));
      return prepareWalk(query, walk, candidateFilters(query));
    });
    const { q } = query;
    const words = { q, technology: undefined, anyTechnology: undefined };
    return await statement.execute(q === undefined ? values : await withSearch(words, values));
  }

  function prepareWalk(query: ProjectListQuery, walk: SQL, filters?: SQL) {
    const found = db
      .select(projectTexts(query.fields))
      .from(projects)
      .innerJoin(sql`(${walk}) as found`, sql`found.project_id = ${projects.id}`)
      .where(filters)
      .orderBy(inOrder(query, sql`found.created_at`, sql`found.project_id`))
      .limit(sql.placeholder('limit'));
    return prepareTexts(db, 'technologies', found, query.limit);
  }

  /** The values with what the search index is asked for, if it is. */
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
   * The projects with these ids that exist, in the order of the ids. The page ends early where it is
   * large enough: its `next` names the last project in it.
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
