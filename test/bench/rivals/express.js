// Express and pg on the plain table.
import express from 'express';
import pg from 'pg';
import { FILTER, GET, PATCH, POST, PUT } from './statements.js';

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
const rowOf = async (text, values) => (await pool.query(text, values)).rows[0];
const app = express();
app.use(express.json());

app.get('/api/projects', async (req, res) => {
  const { rows } = await pool.query(FILTER, [JSON.stringify([req.query.technology])]);
  res.json({ success: true, data: rows });
});
app.get('/api/projects/:id', async (req, res) => {
  res.json({ success: true, data: await rowOf(GET, [req.params.id]) });
});
app.post('/api/projects', async ({ body }, res) => {
  const values = [body.name, body.description, JSON.stringify(body.technologies)];
  res.status(201).json({ success: true, data: await rowOf(POST, values) });
});
app.patch('/api/projects/:id', async ({ params, body }, res) => {
  res.json({ success: true, data: await rowOf(PATCH, [params.id, body.description]) });
});
app.put('/api/projects/:id', async ({ params, body }, res) => {
  const values = [params.id, body.name, body.description, JSON.stringify(body.technologies)];
  res.json({ success: true, data: await rowOf(PUT, values) });
});
app.listen(Number(process.env.PORT), '127.0.0.1');
