/**
 * The client of the service: the package subpath `projects-service/client`. Importing it loads no module of the
 * service. Only a call of `ProjectsClientModule.register({ local: true })` loads the service.
 */
export type { CallOptions, CallSettings } from './calls.js';
export { httpTransport, type HttpTransportOptions } from './http-transport.js';
export { messageTransport, type MessageTransportOptions } from './message-transport.js';
export {
  createProjectsClient,
  type GetOptions,
  type KeyedOptions,
  PROJECTS_CLIENT,
  type ProjectsClient,
  type WriteOptions,
} from './projects-client.js';
export { type ClientCode, ProjectsClientError } from './projects-client-error.js';
export {
  type LocalOptions,
  ProjectsClientModule,
  type ProjectsClientOptions,
} from './projects-client.module.js';
export type { Reply, RequestMeta, Transport } from './transport.js';
export type * from './types.js';
