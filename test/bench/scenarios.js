// What is measured. The limit serves each with its SQL and nothing else; both must answer the same.

const COLUMNS =
  'id, name, description, technologies, created_at as "createdAt", updated_at as "updatedAt", version';
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
 * `target` is given the id of a row. `sql`, `params` (of the URL and the body) and `answer` (of the
 * rows) are the limit's; its `serves` says which requests these are for.
 */
export const SCENARIOS = [
  {
    name: 'GET by id',
    method: 'GET',
    target: (id) => `/api/projects/${id}`,
    serves: 'item',
    sql: `select ${COLUMNS} from projects where id = $1`,
    params: (url) => [idOf(url)],
    answer: item,
  },
  {
    name: 'list of 50',
    method: 'GET',
    target: () => '/api/projects',
    serves: 'list',
    sql: `select ${COLUMNS} from projects ${NEWEST}`,
    params: () => [],
    answer: page,
  },
  {
    name: 'POST',
    method: 'POST',
    target: () => '/api/projects',
    serves: 'list',
    body: NEW,
    sql: `insert into projects (name, description, technologies) values ($1, $2, $3) returning ${COLUMNS}`,
    params: (_url, { name, description, technologies }) => [name, description, technologies],
    answer: item,
  },
  {
    name: 'PATCH',
    method: 'PATCH',
    target: (id) => `/api/projects/${id}`,
    serves: 'item',
    body: { description: 'Dolor sit amet.' },
    sql: `update projects set description = $2 where id = $1 returning ${COLUMNS}`,
    params: (url, { description }) => [idOf(url), description],
    answer: item,
  },
];

/** The limit's name for a request: its method, a list or one item of it, and the parameters by name. */
export function keyOf(method, url) {
  const question = url.indexOf('?');
  const kind = ITEM.test(url) ? 'item' : 'list';
  const names = question < 0 ? [] : [...new URLSearchParams(url.slice(question)).keys()];
  return `${method} ${kind} ${names.join()}`;
}
