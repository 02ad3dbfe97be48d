import {
  FILTER_NAMES,
  filterShapes,
  filterValues,
  PROJECT_FILTERS,
} from '../../src/db/factories/projects/project-filters.js';
import {
  normalizeQuery,
  type ProjectListQuery,
} from '../../src/db/factories/projects/project-list-query.js';
import {
  type Estimate,
  needsEstimate,
  planOf,
  type Strategy,
} from '../../src/db/factories/projects/project-plan.js';

const moment = new Date('2026-01-31T12:00:00Z');
const GIVEN: Required<Parameters<typeof filterValues>[0]> = {
  technology: ['C'],
  anyTechnology: ['SQL'],
  q: 'word',
  createdFrom: moment,
  createdTo: moment,
  updatedFrom: moment,
  updatedTo: moment,
};

describe('the plan of a list without an estimate', () => {
  it.each<[string, ProjectListQuery, Strategy]>([
    ['no filter', {}, 'planner'],
    ['words', { q: 'a' }, 'planner'],
    ['no technology among none', { technology: [], anyTechnology: [] }, 'planner'],
    ['one technology', { technology: ['a'] }, 'technology-index'],
    ['one, created in a range', { technology: ['a'], createdFrom: moment }, 'technology-index'],
    ['one of several', { anyTechnology: ['a', 'b'] }, 'technology-index'],
    ['one, the oldest first', { technology: ['a'], descending: false }, 'technology-index'],
    ['one, by name', { technology: ['a'], sortBy: 'name' }, 'planner'],
    ['one of several with words', { anyTechnology: ['a', 'b'], q: 'c' }, 'planner'],
  ])('%s', (_name, query, strategy) => {
    const normalized = normalizeQuery(query);
    expect(needsEstimate(normalized)).toBe(false);
    expect(planOf(normalized)).toEqual([strategy]);
  });
});

describe('the plan of a list with an estimate', () => {
  const WORDS = { technology: ['a'], q: 'b' };
  const SEVERAL = { technology: ['a', 'b'] };
  const ALL: Strategy[] = ['candidates', 'days', 'planner'];
  it.each<[string, ProjectListQuery, Estimate, Strategy[]]>([
    ['few matches', WORDS, { matches: 500, uses: 500 }, ['planner']],
    ['several technologies with few matches', SEVERAL, { matches: 1 }, ['planner']],
    ['several technologies', SEVERAL, { matches: 501 }, ALL],
    [
      'all of these, one of those',
      { technology: ['a'], anyTechnology: ['b'] },
      { matches: 501 },
      ALL,
    ],
    [
      'changed in a range',
      { technology: ['a'], updatedTo: moment },
      { matches: 501, uses: 600 },
      ALL,
    ],
    ['words of many uses', WORDS, { matches: 1000, uses: 79_999 }, ALL],
    ['words of a few uses', WORDS, { matches: 1000, uses: 80_000 }, ['days', 'planner']],
    ['words, short pages', { ...WORDS, limit: 49 }, { matches: 1000, uses: 80_000 }, ALL],
    ['words, uses unknown', WORDS, { matches: 1000 }, ALL],
  ])('%s', (_name, query, estimate, plan) => {
    const normalized = normalizeQuery(query);
    expect(needsEstimate(normalized)).toBe(true);
    expect(planOf(normalized, estimate)).toEqual(plan);
  });
});

it.each(FILTER_NAMES)('%s changes the cached statement and passes its value', (name) => {
  const query = { [name]: GIVEN[name] };
  expect(filterShapes(query)).not.toEqual(filterShapes({}));
  const given = Object.entries(filterValues(query)).filter(([, value]) => value !== undefined);
  expect(given.map(([other]) => other)).toEqual([name]);
});

it('a forgotten filter, and a forgotten part of a filter, do not compile', () => {
  const { q, ...others } = PROJECT_FILTERS;
  const { condition, ...rest } = q;
  // @ts-expect-error The filter q is missing.
  const withoutFilter: typeof PROJECT_FILTERS = others;
  // @ts-expect-error The condition of q is missing.
  const withoutCondition: typeof PROJECT_FILTERS = { ...others, q: rest };
  expect([withoutFilter.q, withoutCondition.q, condition.in]).toEqual([undefined, rest, 'tsquery']);
});

it('one technology and several have different statements, two and three have the same', () => {
  const shapes = [['a'], ['a', 'b'], ['a', 'b', 'c']].map((technology) =>
    filterShapes({ technology }).join(),
  );
  expect(new Set(shapes).size).toBe(2);
  expect(shapes[1]).toBe(shapes[2]);
});
