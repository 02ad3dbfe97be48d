import { Body, Module, Req, Res } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { sql } from 'drizzle-orm';
import { integer, pgTable, text, uuid } from 'drizzle-orm/pg-core';
import type { Request, Response } from 'express';
import request from 'supertest';
import {
  createReplicas,
  createTimestamps,
  DATABASE,
  DatabaseModule,
  type Db,
  defineEntity,
  Endpoint,
  EntityController,
  EntityDto,
  entityModule,
  entityResource,
  TextField,
} from '../../src/index.js';
import { atEnd, connectPlainly, endEachTest } from '../support/connections.js';
import { createTestDatabase } from '../support/database.js';

endEachTest();

const table = pgTable('notes', {
  id: uuid('id').primaryKey().defaultRandom(),
  name: text('name').notNull(),
  ...createTimestamps(),
  version: integer('version').notNull().default(1),
});
const MIGRATION = `
  create table notes (
    id uuid primary key default gen_random_uuid(), name text not null,
    created_at timestamptz(3) not null default now(),
    updated_at timestamptz(3) not null default now(), version integer not null default 1);
  select track_changes('notes', 'note');
  create table audit (at pg_lsn not null)`;
const entity = defineEntity({ name: 'note', table, written: ['name'], sorts: [], filters: {} });
class NoteDto extends EntityDto {
  @TextField({ min: 1, max: 100 })
  name!: string;
}
const NOTES = entityResource(entity, { path: 'notes', dto: NoteDto });

/** A route of a host that writes more than the route that it overrides. */
class AuditedController extends EntityController(NOTES) {
  @Endpoint({
    method: 'POST',
    operationId: 'createNote',
    summary: 'Create a note and record it',
    body: NOTES.bodies.input,
    answers: { 201: { description: 'The note.', data: NoteDto } },
  })
  override async create(
    @Body() body: { name: string },
    @Req() req: Request,
    @Res({ passthrough: true }) res: Response,
  ) {
    const answer = await super.create(body, req, res);
    await this.db.execute(sql`insert into audit values (pg_current_wal_insert_lsn())`);
    return answer;
  }
}

it('a route that writes more than the one it overrides validates its body and returns a token of all its writes', async () => {
  const database = await createTestDatabase();
  atEnd(() => database.drop());
  const plain = connectPlainly(database.url);
  await plain.unsafe(MIGRATION);
  @Module({
    ...entityModule(NOTES, { controller: AuditedController }),
    imports: [DatabaseModule.forRoot({ url: database.url })],
  })
  class HostModule {}
  const app = await NestFactory.create<NestExpressApplication>(HostModule, { logger: false });
  atEnd(() => app.close());
  const replicas = createReplicas(app.get<Db>(DATABASE), []);
  atEnd(() => replicas.close());
  await app.listen(0, '127.0.0.1');
  const url = `${await app.getUrl()}/notes`;
  const refused = await request(url).post('').send({ name: '', colour: 'red' }).expect(400);
  expect(refused.body.errors.map(({ path }: { path: string }) => path)).toEqual(['colour', 'name']);
  for (let n = 0; n < 3; n++) {
    const answer = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ name: 'audited' }),
    });
    expect(answer.status).toBe(201);
    const lsn = answer.headers.get('X-Consistency-Token')!.split('-')[1]!;
    const [row] = await plain`
      delete from audit returning at < ${lsn}::text::pg_lsn as is_covered`;
    expect(row).toEqual({ is_covered: true });
  }
});
