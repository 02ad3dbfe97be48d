import { randomUUID } from 'node:crypto';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { ApiProperty, ApiSchema, DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import postgres from 'postgres';
import request from 'supertest';
import {
  ChangesController,
  changesProviders,
  type Db,
  DATABASE,
  DatabaseModule,
  DataError,
  ProjectsModule,
  type TrackedEntity,
} from '../../src/index.js';
import { until } from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { openEvents } from '../support/event-client.js';

/** A table of a host application with the triggers of its history. */
const SKILLS = `
  create table team_skills (id uuid primary key, name text not null, version integer not null default 1);
  create function skills_changes() returns trigger language plpgsql as $$
  begin
    insert into changes (entity, entity_id, version, action, before, after) values ('skill',
      coalesce(new.id, old.id), coalesce(new.version, old.version + 1),
      case tg_op when 'INSERT' then 'created' when 'UPDATE' then 'updated' else 'deleted' end,
      case when old.id is null then null else json_build_object('id', old.id, 'name', old.name, 'version', old.version) end,
      case when new.id is null then null else json_build_object('id', new.id, 'name', new.name, 'version', new.version) end);
    return null;
  end $$;
  create trigger skills_changes after insert or update or delete on team_skills
    for each row execute function skills_changes()`;

@ApiSchema({ name: 'Skill' })
class SkillDto {
  @ApiProperty()
  id!: string;

  @ApiProperty()
  name!: string;

  @ApiProperty()
  version!: number;
}

interface Skills {
  get(id: string): Promise<SkillDto>;
}
const SKILLS_FACTORY = Symbol('SKILLS_FACTORY');
const SKILL: TrackedEntity<Skills> = {
  name: 'skill',
  path: 'skills',
  dto: SkillDto,
  exampleId: '0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b11',
  tokens: { database: DATABASE, changes: Symbol('SKILL_CHANGES'), rows: SKILLS_FACTORY },
  getRow: (skills, id) => skills.get(id),
};

@Module({
  controllers: [ChangesController(SKILL)],
  providers: [
    ...changesProviders(SKILL),
    {
      provide: SKILLS_FACTORY,
      inject: [DATABASE],
      useFactory: (db: Db): Skills => ({
        get: async (id) => {
          const [skill] = await db.execute(
            `select id, name, version from team_skills where id = '${id}'`,
          );
          if (!skill) throw new DataError('not_found', 'There is no skill with this id.');
          return skill as never;
        },
      }),
    },
  ],
})
class SkillsModule {}

let database: TestDatabase;
let sql: postgres.Sql;
let app: NestExpressApplication;
let url: string;
beforeEach(async () => {
  database = await createTestDatabase();
  sql = postgres(database.url, { max: 1, onnotice: () => {} });
  await sql.unsafe(SKILLS);
  @Module({
    imports: [DatabaseModule.forRoot({ url: database.url }), SkillsModule, ProjectsModule],
  })
  class HostModule {}
  app = await NestFactory.create<NestExpressApplication>(HostModule, { logger: false });
  await app.listen(0, '127.0.0.1');
  url = await app.getUrl();
});
afterEach(async () => {
  await sql.end();
  await app.close();
  await database.drop();
});

const get = (path: string) => request(url).get(path);
const insertProject = (name: string) =>
  sql`insert into projects (name, description, technologies) values (${name}, '', '[]')`;

describe("a host's entity", () => {
  it('has its own feed and history, separate from those of projects', async () => {
    const start = (await get('/skills/changes?after=now').expect(200)).body.meta.nextCursor;
    const id = randomUUID();
    await insertProject('not a skill');
    await sql`insert into team_skills (id, name) values (${id}, 'SQL')`;
    await sql`update team_skills set name = 'SQL:2023', version = 2 where id = ${id}`;
    const { body } = await get(`/skills/changes?after=${start}`).expect(200);
    const recorded = { actor: '', requestId: '', at: expect.any(String) };
    const [first, second] = [
      { id, name: 'SQL', version: 1 },
      { id, name: 'SQL:2023', version: 2 },
    ];
    const [created, updated] = [
      { action: 'created', version: 1, before: null, after: first, ...recorded },
      { action: 'updated', version: 2, before: first, after: second, ...recorded },
    ];
    const ofFeed = { cursor: expect.any(String), skillId: id };
    expect(body.data).toEqual([
      { ...ofFeed, ...created },
      { ...ofFeed, ...updated },
    ]);
    const history = await get(`/skills/${id}/history`).expect(200);
    expect(history.body.data).toEqual([
      { ...updated, changed: ['name'] },
      { ...created, changed: [] },
    ]);
    await get(`/projects/${id}/history`).expect(404);
    await get(`/skills/${randomUUID()}/history`).expect(404);
    const ofProjects = (await get('/projects/changes').expect(200)).body;
    expect(ofProjects.data).toHaveLength(1);
    expect(ofProjects.data[0].projectId).toBe(ofProjects.data[0].after.id);
    for (const [path, cursor] of [
      ['/projects/changes', body.meta.nextCursor],
      ['/skills/changes', ofProjects.meta.nextCursor],
    ])
      expect((await get(`${path}?after=${cursor}`)).body).toMatchObject({ code: 'invalid_cursor' });
  });

  it('has live streams that end with the application, like those of projects', async () => {
    const [skills, projects] = await Promise.all(
      ['skills', 'projects'].map((path) => openEvents(`${url}/${path}/changes?after=now`)),
    );
    for (const stream of [skills!, projects!]) await until(() => stream.lastEventId !== '');
    const id = randomUUID();
    await sql`insert into team_skills (id, name) values (${id}, 'C')`;
    await insertProject('a project');
    const [ofSkills] = await skills!.received(1);
    expect(ofSkills!.data).toMatchObject({ skillId: id, action: 'created', after: { name: 'C' } });
    const [ofProjects] = await projects!.received(1);
    expect(ofProjects!.data.after!.name).toBe('a project');
    await app.close();
    for (const stream of [skills!, projects!]) {
      await until(() => stream.hasEnded);
      expect(stream.response.complete).toBe(true);
      expect(stream.events).toHaveLength(1);
    }
  });

  it('is documented with its own names', () => {
    const document = SwaggerModule.createDocument(app, new DocumentBuilder().build());
    const { paths, components } = document;
    expect(paths['/skills/changes']!.get!.operationId).toBe('listSkillChanges');
    expect(paths['/skills/{id}/history']!.get!.operationId).toBe('getSkillHistory');
    expect(paths['/projects/changes']!.get!.operationId).toBe('listChanges');
    const schemas = components!.schemas as Record<string, { properties: object }>;
    expect(Object.keys(schemas.SkillChange!.properties)).toContain('skillId');
    expect(Object.keys(schemas.Change!.properties)).toContain('projectId');
    expect(schemas.SkillHistoryEntry!.properties).toMatchObject({
      after: { anyOf: [{ $ref: '#/components/schemas/Skill' }, { nullable: true }] },
    });
  });
});
