import type { components, operations } from './openapi-types.js';

type Schemas = components['schemas'];
type QueryOf<Operation extends keyof operations> = NonNullable<
  operations[Operation]['parameters']['query']
>;

export type Project = Schemas['Project'];
export type ProjectInput = Schemas['ProjectInput'];
export type ProjectPatch = Schemas['ProjectPatch'];
export type ProjectOperation = Schemas['ProjectBatch']['operations'][number];
export type OperationResult = Schemas['OperationResult'];
export type HistoryEntry = Schemas['HistoryEntry'];
export type Change = Schemas['Change'];
export type Technology = Schemas['Technology'];
export type Fault = Schemas['Fault'];
export type ProblemCode = Schemas['ProblemCode'];
/** The body of a failure, over HTTP and over messages. */
export type ProblemBody = Schemas['Problem'];

export type ListQuery = Omit<QueryOf<'listProjects'>, 'id'>;
export type HistoryQuery = QueryOf<'getProjectHistory'>;
export type ChangesQuery = QueryOf<'listChanges'>;
export type TechnologiesQuery = QueryOf<'listTechnologies'>;
export type ListMeta = Schemas['ListMeta'];
export type PageMeta = Schemas['PageMeta'];
export type FeedMeta = Schemas['FeedMeta'];

/** A page of a list. `meta.nextCursor` is the `after` of the next page. */
export interface Page<Item, Meta = PageMeta> {
  items: Item[];
  meta: Meta;
}

/** A project and its ETag, which `ifMatch` and `ifNoneMatch` take. */
export interface StoredProject {
  project: Project;
  etag: string;
}
