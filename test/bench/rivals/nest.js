// Naive Nest on the plain table, as in its documentation: with a ValidationPipe, ConfigModule, Swagger and drizzle.
// Decorators are called by hand, so that no compiler is needed.
import 'reflect-metadata';
import {
  Body,
  Controller,
  Get,
  Inject,
  Injectable,
  Module,
  Param,
  Patch,
  Post,
  Put,
  Query,
  ValidationPipe,
} from '@nestjs/common';
import { ConfigModule } from '@nestjs/config';
import { NestFactory } from '@nestjs/core';
import { ApiProperty, DocumentBuilder, PartialType, SwaggerModule } from '@nestjs/swagger';
import { IsArray, IsString, MaxLength } from 'class-validator';
import { desc, eq, sql } from 'drizzle-orm';
import { jsonb, pgTable, text, timestamp, uuid, varchar } from 'drizzle-orm/pg-core';
import { drizzle } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';

const plain = pgTable('plain', {
  id: uuid('id').primaryKey().defaultRandom(),
  name: varchar('name', { length: 255 }).notNull(),
  description: text('description').notNull(),
  technologies: jsonb('technologies').notNull(),
  createdAt: timestamp('created_at', { precision: 3, withTimezone: true }).notNull().defaultNow(),
  updatedAt: timestamp('updated_at', { precision: 3, withTimezone: true }).notNull().defaultNow(),
});

class ProjectInput {}
for (const [name, type, ...rules] of [
  ['name', String, IsString(), MaxLength(255)],
  ['description', String, IsString()],
  ['technologies', Array, IsArray(), IsString({ each: true })],
]) {
  const property = type === Array ? { type: [String] } : { type };
  decorate(ProjectInput, name, [ApiProperty(property), ...rules], { 'design:type': type });
}
class ProjectPatch extends PartialType(ProjectInput) {}

const DB = Symbol('db');

class ProjectsService {
  constructor(db) {
    this.db = db;
  }

  async list(technology) {
    const uses = technology && sql`${plain.technologies} @> ${JSON.stringify([technology])}::jsonb`;
    return await this.db.select().from(plain).where(uses).orderBy(desc(plain.createdAt)).limit(50);
  }

  async get(id) {
    return (await this.db.select().from(plain).where(eq(plain.id, id)))[0];
  }

  async create(values) {
    return (await this.db.insert(plain).values(values).returning())[0];
  }

  async update(id, values) {
    const set = { ...values, updatedAt: new Date() };
    return (await this.db.update(plain).set(set).where(eq(plain.id, id)).returning())[0];
  }
}
Injectable()(ProjectsService);
Inject(DB)(ProjectsService, undefined, 0);

class ProjectsController {
  constructor(projects) {
    this.projects = projects;
  }

  async list(technology) {
    return { success: true, data: await this.projects.list(technology) };
  }

  async get(id) {
    return { success: true, data: await this.projects.get(id) };
  }

  async create(body) {
    return { success: true, data: await this.projects.create(body) };
  }

  async patch(id, body) {
    return { success: true, data: await this.projects.update(id, body) };
  }

  async put(id, body) {
    return { success: true, data: await this.projects.update(id, body) };
  }
}
Controller('api/projects')(ProjectsController);
Inject(ProjectsService)(ProjectsController, undefined, 0);
route('list', Get(), [Query('technology')], [String]);
route('get', Get(':id'), [Param('id')], [String]);
route('create', Post(), [Body()], [ProjectInput]);
route('patch', Patch(':id'), [Param('id'), Body()], [String, ProjectPatch]);
route('put', Put(':id'), [Param('id'), Body()], [String, ProjectInput]);

class AppModule {}
Module({
  imports: [ConfigModule.forRoot()],
  controllers: [ProjectsController],
  providers: [
    { provide: DB, useFactory: () => drizzle(postgres(process.env.DATABASE_URL, { max: 10 })) },
    ProjectsService,
  ],
})(AppModule);

const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
app.useGlobalPipes(new ValidationPipe({ whitelist: true, transform: true }));
const document = SwaggerModule.createDocument(app, new DocumentBuilder().build());
SwaggerModule.setup('docs', app, document);
await app.listen(Number(process.env.PORT), '127.0.0.1');

function route(name, method, parameters, types) {
  const { prototype } = ProjectsController;
  parameters.forEach((parameter, index) => parameter(prototype, name, index));
  Reflect.defineMetadata('design:paramtypes', types, prototype, name);
  method(prototype, name, Object.getOwnPropertyDescriptor(prototype, name));
}

function decorate(type, name, decorators, metadata) {
  for (const [key, value] of Object.entries(metadata)) {
    Reflect.defineMetadata(key, value, type.prototype, name);
  }
  for (const decorator of decorators) decorator(type.prototype, name);
}
