/**
 * Tools for the tests of a host application, with any test runner: `projects-service/testing`. The service itself
 * never loads them. See docs/testing.md.
 */
export { type Contract, contractOf } from './contract.js';
export {
  type Answer,
  answerName,
  documentedAnswers,
  type Operation,
  operationsOf,
  routeName,
} from './operations.js';
export { auditRoutes, RESOURCE_ENHANCERS, type RouteAuditOptions } from './route-audit.js';
export { type AskOptions, askEveryRoute, routesOf } from './routes.js';
export { createTestDatabase, type TestDatabase } from '../db/embedded/test-database.js';
export {
  startTestServer,
  type TestServer,
  type TestServerOptions,
} from '../db/embedded/test-server.js';
