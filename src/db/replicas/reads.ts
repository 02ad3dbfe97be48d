import type { Db } from '../connection.js';
import { replicasOf } from './replicas.js';

/** Runs reads with a factory that is created for each server. */
export interface Reads<Factory> {
  /** Does the same as `Replicas.read`; without replicas it reads on the primary. */
  read<T>(token: string | undefined, work: (factory: Factory) => Promise<T>): Promise<T>;
}

/** Returns reads that use the factory `primary` on `db`, and `make(replica)` on its replicas. */
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
