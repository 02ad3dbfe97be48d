// The measured scenarios. The limit serves each of them only with its SQL. It reads from `projects` and writes to the
// plain table (catalogue.js), which a user would have without the service. Both servers must give the same answers.

const COLUMNS =
  'id, name, description, technologies, created_at as "createdAt", updated_at as "updatedAt", version';
const WRITTEN = COLUMNS.replace('version', '1 as version');
const NEWEST = 'order by created_at desc, id desc limit 51';
const ITEM = /^\/api\/projects\/([^?]+)/;
const NEW = { name: 'Bench project', description: 'Lorem ipsum.', technologies: ['SQL', 'C'] };

const idOf = (url) => ITEM.exec(url)[1];
const item = ([data]) => ({ success: true, data });
const page = (rows) => ({
  success: true,
  data: rows.slice(0, 50),
  meta: {
    limit: 50,
    nextCursor: rows.length > 50 ? cursorOf(rows[49]) : null,
    hasMore: rows.length > 50,
  },
});
const cursorOf = ({ id, createdAt }) =>
  Buffer.from(JSON.stringify([createdAt, id])).toString('base64url');

/**
 * `target` gets the id of a row. The limit uses `sql`, `params` (from the URL and the body), `answer` (from the rows)
 * and `prepare` (default true).
 */
export const SCENARIOS = [
  {
    name: 'GET by id',
    method: 'GET',
    target: (id) => `/api/projects/${id}`,
    sql: `select ${COLUMNS} from projects where id = $1`,
    params: (url) => [idOf(url)],
    answer: item,
  },
  {
    name: 'list of 50',
    method: 'GET',
    target: () => '/api/projects',
    sql: `select ${COLUMNS} from projects ${NEWEST}`,
    params: () => [],
    answer: page,
  },
  {
    name: 'technology filter',
    method: 'GET',
    target: () => '/api/projects?technology=Python',
    sql: `select ${COLUMNS.replace('created_at', 'projects.created_at')} from projects join (
        select project_id, created_at from project_technologies where technology = $1
        order by created_at desc, project_id desc limit 51
      ) as found on found.project_id = id order by found.created_at desc, id desc`,
    params: (url) => [new URLSearchParams(url.slice(url.indexOf('?'))).get('technology')],
    answer: page,
  },
  {
    name: 'words (`q`)',
    method: 'GET',
    target: () => '/api/projects?q=platform',
    sql: `select ${COLUMNS} from projects
      where search @@ websearch_to_tsquery('simple', $1) ${NEWEST}`,
    prepare: false, // otherwise PostgreSQL would plan it once for all words
    params: (url) => [new URLSearchParams(url.slice(url.indexOf('?'))).get('q')],
    answer: page,
  },
  {
    name: 'POST',
    method: 'POST',
    target: () => '/api/projects',
    body: NEW,
    sql: `insert into plain (name, description, technologies) values ($1, $2, $3) returning ${WRITTEN}`,
    params: (_url, { name, description, technologies }) => [name, description, technologies],
    answer: item,
  },
  {
    name: 'PATCH',
    method: 'PATCH',
    target: (id) => `/api/projects/${id}`,
    body: { description: 'Dolor sit amet.' },
    sql: `update plain set description = $2, updated_at = now() where id = $1 returning ${WRITTEN}`,
    params: (url, { description }) => [idOf(url), description],
    answer: item,
  },
  {
    name: 'PUT',
    method: 'PUT',
    target: (id) => `/api/projects/${id}`,
    body: NEW,
    sql: `update plain set name = $2, description = $3, technologies = $4, updated_at = now()
      where id = $1 returning ${WRITTEN}`,
    params: (url, { name, description, technologies }) => [
      idOf(url),
      name,
      description,
      technologies,
    ],
    answer: item,
  },
];

/** The limit's name for a request: its method, a list or one item of it, and the names of the parameters. */
export function keyOf(method, url) {
  const question = url.indexOf('?');
  const kind = ITEM.test(url) ? 'item' : 'list';
  const names = question < 0 ? [] : [...new URLSearchParams(url.slice(question)).keys()];
  return `${method} ${kind} ${names.join()}`;
}
