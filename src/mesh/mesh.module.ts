import { type DynamicModule, Module } from '@nestjs/common';
import type { Db } from '../db/connection.js';
import { DATABASE } from '../db/database.module.js';
import { MessageServer } from './message-server.js';
import { Relay, type RelayOptions } from './relay.js';

/**
 * Connects the service to a mesh: it answers messages, for which `attachMessages` sets the transport, and relays the
 * change feed if there is a broker.
 */
@Module({ providers: [MessageServer] })
export class MeshModule {
  static forRoot(relay?: RelayOptions): DynamicModule {
    const useFactory = (db: Db) => relay && new Relay(db, relay);
    return { module: MeshModule, providers: [{ provide: Relay, inject: [DATABASE], useFactory }] };
  }
}
