import {
  type DynamicModule,
  type FactoryProvider,
  Inject,
  Logger,
  Module,
  type ModuleMetadata,
  type OnApplicationShutdown,
  type Provider,
} from '@nestjs/common';
import type { TablesRelationalConfig } from 'drizzle-orm';
import type { PgDatabase } from 'drizzle-orm/pg-core';
import type { PostgresJsDatabase, PostgresJsQueryResultHKT } from 'drizzle-orm/postgres-js';
import {
  createDatabaseConnection,
  type DatabaseConnection,
  type Db,
  type TDatabaseConfig,
} from './connection.js';
import { createReplicas, type ReplicaOptions, type Replicas } from './replicas/replicas.js';

/** The token of the default database: `@Inject(DATABASE) db: Db`. */
export const DATABASE = Symbol('DATABASE');

/** Returns the token of a named database, or without a name that of the default database. */
export function getDatabaseToken(name?: string): symbol {
  return name === undefined ? DATABASE : Symbol.for(`projects-service DATABASE ${name}`);
}

/** Injects the drizzle connection of the default database, or of the named one. */
export function InjectDatabase(name?: string): ParameterDecorator & PropertyDecorator {
  return Inject(getDatabaseToken(name));
}

/** A caller's own drizzle with any schema, or without one. The factories import their tables themselves. */
type OwnDb =
  | PgDatabase<PostgresJsQueryResultHKT, Record<string, unknown>, TablesRelationalConfig>
  | PostgresJsDatabase<Record<string, never>>;

/** A configuration, or a connection that the caller has opened and will close. */
export type DatabaseOptions = (TDatabaseConfig | { db: Db | OwnDb }) & {
  /** Read replicas of the database, which reads may use (`readsOn`). */
  replicas?: ReplicaOptions & { configs: TDatabaseConfig[] };
};

export interface DatabaseModuleScope {
  /** The name of a further database. The default database has no name. */
  name?: string;
  /** If true, other modules may inject it without importing this one; default true. */
  isGlobal?: boolean;
}

export interface DatabaseModuleAsyncOptions
  extends DatabaseModuleScope, Pick<ModuleMetadata, 'imports'>, Pick<FactoryProvider, 'inject'> {
  useFactory: (...dependencies: never[]) => DatabaseOptions | Promise<DatabaseOptions>;
}

/**
 * Provides the drizzle connection under an injection token. It connects at the first query. At application
 * shutdown, after HTTP has drained, it closes only the connections that it has opened itself. Each
 * application in a process has its own pool.
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
      this.#replicas = createReplicas(this.db, replicas.configs, {
        onCheck: logCheck,
        ...replicas,
      });
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.#replicas?.close(), this.#own?.close()]);
  }
}

function logCheck(replica: string, problem: string | undefined): void {
  const logger = new Logger('Database');
  if (problem === undefined) logger.log(`the replica ${replica} answers again`);
  else logger.warn(`the replica ${replica} is not used: ${problem}`);
}
