import { Module } from '@nestjs/common';
import type { Db } from '../db/connection.js';
import { DATABASE } from '../db/database.module.js';
import { createTechnologiesFactory } from '../db/factories/technologies.factory.js';
import { hostCheck } from '../http/contract/host-check.js';
import { TechnologiesController } from './technologies.controller.js';
import { TECHNOLOGIES_FACTORY } from './technologies.tokens.js';

/** Serves the list of technologies that projects use, from the default database. */
@Module({
  controllers: [TechnologiesController],
  providers: [
    hostCheck('TechnologiesModule', () => TechnologiesModule),
    {
      provide: TECHNOLOGIES_FACTORY,
      inject: [DATABASE],
      useFactory: (db: Db) => createTechnologiesFactory(db),
    },
  ],
  exports: [TECHNOLOGIES_FACTORY],
})
export class TechnologiesModule {}
