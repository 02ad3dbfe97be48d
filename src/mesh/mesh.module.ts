import { type DynamicModule, Module } from '@nestjs/common';
import type { Db } from '../db/connection.js';
import { DATABASE } from '../db/database.module.js';
import { MessageServer } from './message-server.js';
import { Relay, type RelayOptions } from './relay.js';

/**
 * What connects the service to a mesh: messages, which `attachMessages` gives a transport, and the
 * relay of the change feed, where it has a broker.
 */
@Module({ providers: [MessageServer] })
export class MeshModule {
  static forRoot(relay?: RelayOptions): DynamicModule {
    const useFactory = (db: Db) => relay && new Relay(db, relay);
    return { module: MeshModule, providers: [{ provide: Relay, inject: [DATABASE], useFactory }] };
  }
}
