import { readFileSync } from 'node:fs';

const FUNCTIONS = readFileSync(new URL('catalogue.sql', import.meta.url), 'utf8');

/** Fills a migrated, empty database with `size` projects. They are the same each time, and skewed like real ones. */
export async function fillCatalogue(sql, size) {
  await sql.unsafe(FUNCTIONS);
  for (let from = 1; from <= size; from += 100_000) {
    await sql.unsafe(rowsFrom(from, Math.min(size, from + 99_999)));
  }
  await sql`select fold_technology_changes()`;
  await sql.unsafe('vacuum analyze');
}

/**
 * Creates `plain`: the table of the design document, with a primary key, an index on created_at and GIN on
 * technologies. A user would have this table without the service.
 */
export async function makePlainTable(sql) {
  await sql.unsafe(`
    drop table if exists plain;
    create table plain (
      id uuid primary key default gen_random_uuid(), name varchar(255) not null, description text not null,
      technologies jsonb not null, created_at timestamptz(3) not null default now(),
      updated_at timestamptz(3) not null default now());
    create index on plain (created_at);
    create index on plain using gin (technologies)`);
}

/** Creates the plain table with the rows of `projects`. */
export async function fillPlainTable(sql) {
  await makePlainTable(sql);
  await sql.unsafe(`insert into plain
    select id, name, description, technologies, created_at, updated_at from projects`);
}

/** Returns the id of the n-th project. */
export function idOf(n) {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
}

function rowsFrom(from, to) {
  return `
    insert into projects (id, name, description, technologies, created_at, updated_at)
    select ('00000000-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
      initcap(word(pick_skewed(i, 1, 2000))) || ' ' || initcap(word(pick(i, 2, 10000))) || ' ' || i,
      'A ' || word(pick_skewed(i, 3, 10000)) || ' ' || word(pick_skewed(i, 4, 10000)) || ' for '
        || word(pick_skewed(i, 5, 10000)) || ' and ' || word(pick_skewed(i, 6, 10000)) || ' with '
        || word(pick_skewed(i, 7, 10000)) || ' ' || word(pick_skewed(i, 8, 10000))
        || case when draw(i, 20) < 0.2 then ' platform' else '' end
        || case when draw(i, 21) < 0.00001 then ' quokka' else '' end,
      to_jsonb(array_remove(array[
        case when draw(i, 31) < 0.2 then 'TypeScript' end,
        case when draw(i, 32) < 0.2 then 'PostgreSQL' end,
        case when draw(i, 33) < 0.2 then 'Python' end,
        case when draw(i, 34) < 0.2 then 'Docker' end,
        case when draw(i, 35) < 0.2 then 'React' end,
        case when draw(i, 36) < 0.5 then 'Framework ' || pick(i, 37, 50) end,
        case when draw(i, 38) < 0.2 then 'Library ' || pick(i, 39, 200) end,
        case when draw(i, 40) < 0.02 then 'Rarity ' || pick(i, 41, 2000) end], null)),
      '2020-01-01'::timestamptz + i * interval '10 s',
      '2020-01-01'::timestamptz + i * interval '10 s' + pick(i, 50, 1000000) * interval '1 s'
    from generate_series(${from}::bigint, ${to}::bigint) as i`;
}
