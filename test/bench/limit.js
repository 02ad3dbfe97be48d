// The limit: the rate that one Node process can reach with these rows. It is a bare node:http server with a
// postgres.js that does not become slower, with raw SQL, and without validation or a framework. bench.js starts it.
import http from 'node:http';
import { keyOf, SCENARIOS } from './scenarios.js';

const { POSTGRES_JS, DATABASE_URL, PORT } = process.env;
const { default: postgres } = await import(POSTGRES_JS);
const sql = postgres(DATABASE_URL, { max: 10, fetch_types: false });
const routes = new Map(
  SCENARIOS.map((scenario) => [keyOf(scenario.method, scenario.target('x')), scenario]),
);

http
  .createServer(async (req, res) => {
    try {
      const { sql: text, params, answer, prepare = true } = routes.get(keyOf(req.method, req.url));
      const body = req.method === 'GET' ? undefined : JSON.parse(await textOf(req));
      const rows = await sql.unsafe(text, params(req.url, body), { prepare });
      const json = JSON.stringify(answer(rows));
      res.writeHead(req.method === 'POST' ? 201 : 200, {
        'Content-Type': 'application/json; charset=utf-8',
        'Content-Length': Buffer.byteLength(json),
      });
      res.end(json);
    } catch (error) {
      res.writeHead(500).end(String(error));
    }
  })
  .listen(Number(PORT), '127.0.0.1');

function textOf(req) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    req.on('data', (chunk) => chunks.push(chunk));
    req.on('end', () => resolve(Buffer.concat(chunks).toString()));
    req.on('error', reject);
  });
}
