import type { Db } from '../connection.js';
import { replicasOf } from './replicas.js';

/** Reads by a factory that is made for each server. */
export interface Reads<Factory> {
  /** As `Replicas.read` does; on the primary where there are no replicas. */
  read<T>(token: string | undefined, work: (factory: Factory) => Promise<T>): Promise<T>;
}

/** Reads by `primary` on the database `db`, and by what `make` makes of each of its replicas. */
export function readsOn<Factory>(
  db: Db,
  primary: Factory,
  make: (replica: Db) => Factory,
): Reads<Factory> {
  const factories = new Map<Db, Factory>([[db, primary]]);
  const factoryOn = (server: Db) => {
    let factory = factories.get(server);
    if (!factory) factories.set(server, (factory = make(server)));
    return factory;
  };
  return {
    read: (token, work) => {
      const replicas = replicasOf(db);
      return replicas ? replicas.read(token, (server) => work(factoryOn(server))) : work(primary);
    },
  };
}
