import { Module } from '@nestjs/common';
import {
  bigint,
  boolean,
  date,
  integer,
  numeric,
  pgTable,
  text,
  timestamp,
  uuid,
} from 'drizzle-orm/pg-core';
import {
  createTimestamps,
  defineEntity,
  EntityDto,
  entityModule,
  entityResource,
  moment,
} from '../../src/index.js';
import type { PageMetaDto } from '../../src/http/answers/page.js';
import { useSmallHost } from '../support/small-host.js';

const samples = pgTable('samples', {
  id: uuid('id').primaryKey().defaultRandom(),
  words: text('words').notNull(),
  day: date('day').notNull(),
  at: moment('at').notNull(),
  precise: timestamp('precise', { withTimezone: true, mode: 'string' }).notNull(),
  local: timestamp('local', { mode: 'string' }).notNull(),
  price: numeric('price').notNull(),
  many: bigint('many', { mode: 'number' }).notNull(),
  isReady: boolean('is_ready').notNull(),
  ...createTimestamps(),
  version: integer('version').notNull().default(1),
});

/** Long texts, each of whose characters has six bytes in JSON, and values finer than a millisecond. */
const MIGRATION = `
  create table samples (
    id uuid primary key default gen_random_uuid(), words text not null, day date not null, at timestamptz(3) not null,
    precise timestamptz not null, local timestamp not null, price numeric not null, many bigint not null,
    is_ready boolean not null, created_at timestamptz(3) not null default now(),
    updated_at timestamptz(3) not null default now(), version integer not null default 1);
  select track_changes('samples', 'sample');
  insert into samples (words, day, at, precise, local, price, many, is_ready)
    select repeat('é', 1000) || n, date '2026-01-31' + n, moment, moment + n * interval '1 microsecond',
      localtimestamp + n * interval '1 microsecond', n / 3.0, n * 10000000000, n > 1
    from generate_series(0, 3) as n, (values (timestamptz '2026-01-31T12:00:00Z')) as moments (moment);`;

const SORTS = ['words', 'day', 'at', 'precise', 'local', 'price', 'many', 'isReady'] as const;

const SAMPLE = defineEntity({ name: 'sample', table: samples, written: SORTS, sorts: SORTS });

class SampleDto extends EntityDto {
  words!: string;
  day!: string;
  at!: string;
  precise!: string;
  local!: string;
  price!: string;
  many!: number;
  isReady!: boolean;
}

@Module(entityModule(entityResource(SAMPLE, { path: 'samples', dto: SampleDto })))
class SamplesModule {}

interface Page {
  data: SampleDto[];
  meta: PageMetaDto;
}

const host = useSmallHost(MIGRATION, SamplesModule);

it.each(SORTS.flatMap((sort) => [sort, `-${sort}`]))(
  'a list sorted by %s is read page by page to its end',
  async (sort) => {
    const api = await host.api();
    const ids: string[] = [];
    const first = `/samples?limit=1&sort=${sort}`;
    for (let after: string | null = ''; after !== null;) {
      const page: Page = (await api.get(first + after).expect(200)).body;
      ids.push(...page.data.map(({ id }) => id));
      const { nextCursor } = page.meta;
      after = nextCursor && `&after=${nextCursor}`;
    }
    expect(new Set(ids).size).toBe(4);
    expect(ids).toHaveLength(4);
  },
);
