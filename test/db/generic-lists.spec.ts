import { createChangesFactory } from '../../src/db/entity/changes.factory.js';
import { createEntityFactory } from '../../src/db/entity/entity.factory.js';
import type { ListQuery } from '../../src/db/entity/keyset-list.js';
import { createTechnologiesFactory } from '../../src/db/factories/technologies.factory.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { connectRecorded, type RecordedConnection, sqlOf } from '../support/recorded.js';
import { SKILL, SKILLS_MIGRATION } from '../support/skills.js';

let database: TestDatabase;
let recorded: RecordedConnection;
beforeAll(async () => {
  database = await createTestDatabase();
  recorded = connectRecorded(database.url);
  await recorded.connection.db.execute(SKILLS_MIGRATION);
});
afterAll(async () => {
  await recorded.connection.close();
  await database.drop();
});

const ID = '00000000-0000-4000-8000-000000000000';
const moment = new Date('2026-01-31T12:00:00Z');
const after = (key: string) => ({ key, id: ID });
const FILTERS: ListQuery['filters'] = {
  category: ['tool'],
  minProficiency: 1,
  id: [ID],
  createdFrom: moment,
  createdTo: moment,
  updatedFrom: moment,
  updatedTo: moment,
};

const lists: Record<string, ListQuery> = {
  'the first page': {},
  'a later page': { after: after(moment.toISOString()) },
  'the oldest first': { sort: 'createdAt' },
  'sort by updatedAt, a later page': { sort: '-updatedAt', after: after(moment.toISOString()) },
  'sort by a text, a later page': { sort: 'name', after: after('C') },
  'sort by a number, a later page': { sort: '-proficiency', after: after('3') },
  'all filters, a later page': { filters: FILTERS, after: after(moment.toISOString()) },
  'a long page, which the database measures': { limit: 51 },
};

it.each(Object.entries(lists))("a list of a host's entity: %s has this SQL", async (_, query) => {
  const list = () => createEntityFactory(recorded.db, SKILL).list(query);
  expect(await sqlOf(recorded, list)).toMatchSnapshot();
});

it('every filter and sort of the entity occurs in a snapshot', () => {
  expect(Object.keys(FILTERS).sort()).toEqual(Object.keys(SKILL.filters).sort());
  const sorts = Object.values(lists).map(({ sort = '-createdAt' }) => sort.replace('-', ''));
  expect(new Set(sorts)).toEqual(new Set(SKILL.sorts));
});

const feed = (db: RecordedConnection['db']) => createChangesFactory(db, 'talent');
const position = { position: 0, sequence: 0, commitTime: 0 };
const others: Record<string, (db: RecordedConnection['db']) => Promise<unknown>> = {
  'technologies in use': (db) => createTechnologiesFactory(db).getTechnologies(),
  'technologies by their beginning': (db) => createTechnologiesFactory(db).getTechnologies('C'),
  'the change feed': (db) => feed(db).getFeedPage({ after: position }),
  'the end of the change feed': (db) => feed(db).getFeedEnd(),
  'a history': (db) => feed(db).getHistory(ID, { before: 9 }),
};
const sqlOfOther = (read: (db: RecordedConnection['db']) => Promise<unknown>) =>
  sqlOf(recorded, () => read(recorded.db));

it.each(Object.entries(others))('%s has this SQL', async (_, read) => {
  expect(await sqlOfOther(read)).toMatchSnapshot();
});

it('the first pages of the change feed and of a history have the SQL of later pages', async () => {
  const firstOfFeed = await sqlOfOther((db) => feed(db).getFeedPage());
  expect(firstOfFeed).toBe(await sqlOfOther(others['the change feed']!));
  const firstOfHistory = await sqlOfOther((db) => feed(db).getHistory(ID));
  expect(firstOfHistory).toBe(await sqlOfOther(others['a history']!));
});
