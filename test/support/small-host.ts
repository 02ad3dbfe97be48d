import { type DynamicModule, Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import postgres from 'postgres';
import request from 'supertest';
import { createDatabaseConnection, type Db } from '../../src/db/connection.js';
import { DatabaseModule } from '../../src/db/database.module.js';
import { createTestDatabase } from './database.js';

/** Starts, for all tests of a file, a host application with a table that `migration` creates, and its module. */
export function useSmallHost(migration: string, module: Type | DynamicModule) {
  let stop: () => Promise<void>;
  const host = {} as { app: NestExpressApplication; db: Db; url: string; api: () => Promise<Api> };
  beforeAll(async () => {
    const database = await createTestDatabase();
    const sql = postgres(database.url, { max: 1, onnotice: () => {} });
    await sql.unsafe(migration);
    await sql.end();
    const { db, close } = createDatabaseConnection({ url: database.url });
    @Module({ imports: [DatabaseModule.forRoot({ db }), module] })
    class HostModule {}
    const app = await NestFactory.create<NestExpressApplication>(HostModule, { logger: false });
    await app.listen(0, '127.0.0.1');
    Object.assign(host, {
      app,
      db,
      url: database.url,
      api: async () => request(await app.getUrl()),
    });
    stop = async () => {
      await app.close();
      await close();
      await database.drop();
    };
  });
  afterAll(() => stop());
  return host;
}

type Api = ReturnType<typeof request>;
