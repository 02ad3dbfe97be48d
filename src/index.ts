/**
 * The public exports for host applications. Importing it connects to nothing and starts nothing.
 *
 * The host's database needs the migrations once: `await migrate({ url })`. If the host does not use ProblemFilter and
 * jsonBody globally, it answers in its own format when a request fails before it reaches a route of these modules (an
 * unknown route, or JSON that the host's parser cannot read).
 */
export type { AuthOptions } from './auth/auth-options.js';
export { AuthModule, type AuthModuleAsyncOptions } from './auth/auth.module.js';
export { type Caller, NotRecognised, type Recognise, type Scope } from './auth/caller.js';
export { Public } from './auth/public.decorator.js';
export { ChangesController } from './changes/changes.controller.js';
export { changesProviders } from './changes/changes.providers.js';
export type { TrackedEntity } from './changes/tracked-entity.js';
export { type Author, setAuditContext } from './db/entity/author.js';
export {
  createDatabaseConnection,
  type DatabaseConnection,
  type Db,
  type TDatabaseConfig,
} from './db/connection.js';
export {
  DATABASE,
  DatabaseModule,
  type DatabaseModuleAsyncOptions,
  type DatabaseModuleScope,
  type DatabaseOptions,
  getDatabaseToken,
  InjectDatabase,
} from './db/database.module.js';
export { type ColumnKind, distinctTexts } from './db/entity/column-kinds.js';
export { createEntityFactory, type EntityFactory } from './db/entity/entity.factory.js';
export { defineEntity, type Entity, type EntityRow, type EntityTable } from './db/entity/entity.js';
export {
  atLeast,
  atMost,
  before,
  type Filter,
  type FilterDomain,
  from,
  oneOf,
} from './db/entity/filters.js';
export { type ListPage, type ListQuery } from './db/entity/keyset-list.js';
export type { WriteCondition } from './db/entity/write-conditions.js';
export { asDataError, DataError, type DataErrorCode } from './db/errors.js';
export type { FeedChange, FeedPage, FeedPosition, FeedQuery } from './db/entity/change-feed.js';
export {
  type ChangesFactory,
  createChangesFactory,
  type HistoryPage,
  type HistoryQuery,
} from './db/entity/changes.factory.js';
export type { ProjectValues } from './db/factories/projects/columns.js';
export {
  type OperationResult,
  type ProjectOperation,
  type Refusal,
  RefusedOperations,
} from './db/factories/projects/project-batch.js';
export type { Position, ProjectListQuery } from './db/factories/projects/project-list-query.js';
export type { ProjectPage } from './db/factories/projects/project-page.js';
export {
  createProjectsFactory,
  type ProjectsFactory,
} from './db/factories/projects/projects.factory.js';
export {
  createTechnologiesFactory,
  type TechnologiesFactory,
  type TechnologyUse,
} from './db/factories/technologies.factory.js';
export { type Reads, readsOn } from './db/replicas/reads.js';
export {
  createReplicas,
  isConsistencyToken,
  type ReplicaOptions,
  type Replicas,
  replicasOf,
  type ReplicaStats,
} from './db/replicas/replicas.js';
export { migrate, type MigrateOptions } from './db/migrate.js';
export type { JournalName } from './db/migration-journal.js';
export {
  describeFaults,
  MigrationError,
  type MigrationStatus,
  migrationStatus,
} from './db/migration-status.js';
export { type Change, createTimestamps, moment, type Project, projects } from './db/schema.js';
export { inTransaction } from './db/transaction.js';
export { EntityController } from './entities/entity.controller.js';
export { EntityDto } from './entities/entity.dto.js';
export { entityModule } from './entities/entity.module.js';
export { type EntityResource, entityResource } from './entities/entity-resource.js';
export { jsonBody } from './http/server/body-parser.js';
export {
  LeanExpressAdapter,
  type LeanExpressAdapterOptions,
} from './http/server/express-adapter.js';
export { completeOpenApiDocument } from './http/contract/openapi-components.js';
export {
  BooleanField,
  DateField,
  EnumField,
  IntegerField,
  MomentField,
  Nullable,
  TextField,
  TextListField,
  UuidField,
} from './http/contract/fields.js';
export { authorOf } from './http/contract/author.js';
export { Endpoint, type EndpointOptions } from './http/contract/endpoint.js';
export { Id } from './http/contract/id.decorator.js';
export { ResourceController } from './http/contract/resource-controller.js';
export { consistencyTokenOf } from './http/answers/consistency-token.js';
export { type Success, success } from './http/answers/envelope.js';
export { withIdempotencyKey } from './http/answers/idempotency.js';
export {
  type Fault,
  Problem,
  type ProblemBody,
  type ProblemCode,
} from './http/problems/problem.js';
export { ProblemFilter } from './http/contract/problem.filter.js';
export { ProjectMessagesModule } from './projects/messages/project-messages.module.js';
export { ProjectsModule, type ProjectsModuleOptions } from './projects/projects.module.js';
export { CHANGES_FACTORY, PROJECTS_FACTORY } from './projects/projects.tokens.js';
export { TechnologiesModule } from './technologies/technologies.module.js';
export { TECHNOLOGIES_FACTORY } from './technologies/technologies.tokens.js';
