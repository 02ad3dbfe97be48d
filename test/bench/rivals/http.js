// Bare node:http on the plain table, with a postgres.js that does not become slower: the rate that one Node process can
// reach with it.
import http from 'node:http';
import { FILTER, GET, PATCH, POST, PUT } from './statements.js';

const { DATABASE_URL, POSTGRES_JS } = process.env;
const { default: postgres } = await import(POSTGRES_JS);
const sql = postgres(DATABASE_URL, { max: 10, fetch_types: false });
const run = (text, params) => sql.unsafe(text, params, { prepare: true });

http
  .createServer(async (req, res) => {
    try {
      const { pathname, searchParams } = new URL(req.url, 'http://localhost');
      const id = pathname.slice('/api/projects/'.length);
      const body = req.method === 'GET' ? undefined : JSON.parse(await textOf(req));
      const rows = await answer(req.method, id, searchParams.get('technology'), body);
      const json = JSON.stringify({ success: true, data: id || body ? rows[0] : rows });
      res.writeHead(req.method === 'POST' ? 201 : 200, {
        'Content-Type': 'application/json; charset=utf-8',
        'Content-Length': Buffer.byteLength(json),
      });
      res.end(json);
    } catch (error) {
      res.writeHead(500).end(String(error));
    }
  })
  .listen(Number(process.env.PORT), '127.0.0.1');

function answer(method, id, technology, body) {
  switch (method) {
    case 'GET':
      return id ? run(GET, [id]) : run(FILTER, [[technology]]);
    case 'POST':
      return run(POST, [body.name, body.description, body.technologies]);
    case 'PATCH':
      return run(PATCH, [id, body.description]);
    default:
      return run(PUT, [id, body.name, body.description, body.technologies]);
  }
}

async function textOf(req) {
  const chunks = [];
  for await (const chunk of req) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
