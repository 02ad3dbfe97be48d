import {
  type DynamicModule,
  type FactoryProvider,
  Inject,
  Module,
  type ModuleMetadata,
  type OnApplicationShutdown,
  type Provider,
} from '@nestjs/common';
import type { TablesRelationalConfig } from 'drizzle-orm';
import type { PgDatabase } from 'drizzle-orm/pg-core';
import type { PostgresJsQueryResultHKT } from 'drizzle-orm/postgres-js';
import {
  createDatabaseConnection,
  type DatabaseConnection,
  type Db,
  type TDatabaseConfig,
} from './connection.js';
import { createReplicas, type ReplicaOptions, type Replicas } from './replicas/replicas.js';

/** The token of the default database: `@Inject(DATABASE) db: Db`. */
export const DATABASE = Symbol('DATABASE');

/** The token of a named database, the default one's without a name. */
export function getDatabaseToken(name?: string): symbol {
  return name === undefined ? DATABASE : Symbol.for(`projects-service DATABASE ${name}`);
}

/** Injects the drizzle connection: the default database's, or the named one's. */
export function InjectDatabase(name?: string): ParameterDecorator & PropertyDecorator {
  return Inject(getDatabaseToken(name));
}

/** A caller's own drizzle, whatever schema it knows: the factories name their tables themselves. */
type OwnDb = PgDatabase<PostgresJsQueryResultHKT, Record<string, unknown>, TablesRelationalConfig>;

/** A configuration to connect with, or a connection that the caller has opened and will close. */
export type DatabaseOptions = (TDatabaseConfig | { db: Db | OwnDb }) & {
  /** Read replicas of the database; reads may go there (`readsOn`). */
  replicas?: ReplicaOptions & { configs: TDatabaseConfig[] };
};

export interface DatabaseModuleScope {
  /** For several databases in one application: each but the default one has a name. */
  name?: string;
  /** Whether other modules may inject it without importing this one; default true. */
  isGlobal?: boolean;
}

export interface DatabaseModuleAsyncOptions
  extends DatabaseModuleScope, Pick<ModuleMetadata, 'imports'>, Pick<FactoryProvider, 'inject'> {
  useFactory: (...dependencies: never[]) => DatabaseOptions | Promise<DatabaseOptions>;
}

/**
 * Gives the drizzle connection as an injectable token. Connects at the first query; closes at
 * application shutdown, after HTTP has drained, what it has opened and nothing else. Every
 * application has its own pool, however many are in the process.
 */
@Module({})
export class DatabaseModule {
  static forRoot(options: DatabaseOptions & DatabaseModuleScope): DynamicModule {
    return DatabaseModule.forRootAsync({
      name: options.name,
      isGlobal: options.isGlobal,
      useFactory: () => options,
    });
  }

  static forRootAsync(options: DatabaseModuleAsyncOptions): DynamicModule {
    const token = getDatabaseToken(options.name);
    const opened = Symbol(`opened ${token.description}`);
    const providers: Provider[] = [
      {
        provide: opened,
        inject: options.inject ?? [],
        useFactory: async (...dependencies: never[]) =>
          new OpenedDatabase(await options.useFactory(...dependencies)),
      },
      { provide: token, inject: [opened], useFactory: ({ db }: OpenedDatabase) => db },
    ];
    return {
      module: DatabaseModule,
      global: options.isGlobal ?? true,
      imports: options.imports ?? [],
      providers,
      exports: [token],
    };
  }
}

class OpenedDatabase implements OnApplicationShutdown {
  readonly db: Db;
  readonly #own: DatabaseConnection | undefined;
  readonly #replicas: Replicas | undefined;

  constructor(options: DatabaseOptions) {
    const { replicas, ...primary } = options;
    this.#own = 'db' in primary ? undefined : createDatabaseConnection(primary);
    this.db = 'db' in primary ? (primary.db as Db) : this.#own!.db;
    if (replicas?.configs.length) {
      this.#replicas = createReplicas(this.db, replicas.configs, replicas);
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.#replicas?.close(), this.#own?.close()]);
  }
}
