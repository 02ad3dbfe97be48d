import {
  FILTER_NAMES,
  filterShapes,
  filterValues,
  type Plan,
  planOf,
} from '../../src/db/factories/projects/project-filters.js';
import type { ProjectListQuery } from '../../src/db/factories/projects/project-list-query.js';

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

describe('the source of the rows of a page', () => {
  it.each<[string, ProjectListQuery, Plan]>([
    ['no filter', {}, 'planner'],
    ['words', { q: 'a' }, 'planner'],
    ['one technology', { technology: ['a'] }, 'technology-index'],
    ['one, created in a range', { technology: ['a'], createdFrom: moment }, 'technology-index'],
    ['one of several', { anyTechnology: ['a', 'b'] }, 'technology-index'],
    ['one, the oldest first', { technology: ['a'], descending: false }, 'technology-index'],
    ['one, by name', { technology: ['a'], sortBy: 'name' }, 'planner'],
    ['one, changed in a range', { technology: ['a'], updatedTo: moment }, 'search-in-parts'],
    ['one with words', { technology: ['a'], q: 'b' }, 'search-in-parts'],
    ['several', { technology: ['a', 'b'] }, 'search-in-parts'],
    ['all of these, one of those', { technology: ['a'], anyTechnology: ['b'] }, 'search-in-parts'],
    ['one of several with words', { anyTechnology: ['a', 'b'], q: 'c' }, 'planner'],
  ])('%s', (_name, query, plan) => expect(planOf(query)).toBe(plan));
});

it.each(FILTER_NAMES)('%s changes the cached statement and passes its value', (name) => {
  const query = { [name]: GIVEN[name] };
  expect(filterShapes(query)).not.toEqual(filterShapes({}));
  const given = Object.entries(filterValues(query)).filter(([, value]) => value !== undefined);
  expect(given.map(([other]) => other)).toEqual([name]);
});

it('one technology and several have different statements, two and three have the same', () => {
  const shapes = [['a'], ['a', 'b'], ['a', 'b', 'c']].map((technology) =>
    filterShapes({ technology }).join(),
  );
  expect(new Set(shapes).size).toBe(2);
  expect(shapes[1]).toBe(shapes[2]);
});
