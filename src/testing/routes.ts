import type { INestApplication } from '@nestjs/common';
import type { OpenAPIObject } from '@nestjs/swagger';
import { routesInOrder } from '../http/internals/express.js';
import { type Answer, type Operation, operationsOf, routeName } from './operations.js';

/**
 * Returns all routes of an initialized application on Express, such as `GET /api/skills/{id}`, also those that no
 * controller declares.
 */
export function routesOf(app: INestApplication): string[] {
  const routes = routesInOrder(app.getHttpAdapter().getInstance());
  if (!routes) throw new TypeError('The routes can be read only from an application on Express 5.');
  return routes
    .flatMap(({ route: { path, methods } }) =>
      [path as string | string[]]
        .flat()
        .flatMap((each) => Object.keys(methods).map((method) => ({ method, path: each }))),
    )
    .map(({ method, path }) => routeName({ method, path: path.replace(/:(\w+)/g, '{$1}') }));
}

/** The value for every parameter of a path. No row has this id. */
const ABSENT_ID = '00000000-0000-4000-8000-000000000000';

export interface AskOptions {
  /** Sent with every request, such as a key that the guards accept. */
  headers?: Record<string, string>;
}

/** Sends one request without a body to an operation, with an id that no row has. */
export async function ask(
  url: string,
  { method, path }: Operation,
  { headers }: AskOptions = {},
): Promise<Answer> {
  const target = url + path.replace(/\{\w+\}/g, ABSENT_ID);
  const response = await fetch(target, { method: method.toUpperCase(), headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

/** Sends a request to every operation of the document of a listening application, and resolves with the answers. */
export async function askEveryRoute(
  app: INestApplication,
  document: OpenAPIObject,
  options?: AskOptions,
): Promise<{ route: string; operation: Operation; answer: Answer }[]> {
  const url = await app.getUrl();
  return await Promise.all(
    operationsOf(document).map(async (operation) => ({
      route: routeName(operation),
      operation,
      answer: await ask(url, operation, options),
    })),
  );
}
