import http from 'node:http';
import type { Express, Request, Response } from 'express';

/*
 * Everything that this service uses inside express@5.3.0 and its router@2.3.0 and that their documentation
 * does not promise. No other file uses it (test/repository/dependencies.spec.ts). Read this file before an
 * upgrade. It does not load Express, since the command line imports it too.
 */

/** 1. A route in the router's stack. The documentation shows `req.route` with these fields, but not the stack. */
export interface Route {
  path: unknown;
  methods: Record<string, boolean>;
}

/** An entry in the stack; one without a route is middleware. */
interface Layer {
  route?: Route;
  match(path: string): boolean;
}

export type RoutedLayer = Layer & { route: Route };

/** Returns the routes of an application in their order; undefined if the application does not use Express 5. */
export function routesInOrder(app: unknown): RoutedLayer[] | undefined {
  const { router } = app as { router?: { stack: Layer[] } };
  return router?.stack.filter((layer): layer is RoutedLayer => layer.route !== undefined);
}

/** Returns the route that the router found for a request. */
export function matchedRoute(req: Request): Route | undefined {
  return req.route as Route | undefined;
}

/** Returns the methods that a route declares; empty for a route for all methods. */
export function methodsOf({ methods }: Route): string[] {
  return Object.keys(methods)
    .filter((method) => method !== '_all')
    .map((method) => method.toUpperCase());
}

export function accepts({ methods }: Route, method: string): boolean {
  const name = method.toLowerCase();
  return Boolean(methods[name] || methods._all || (name === 'head' && methods.get));
}

/** 2. The settings of the application, also those that Express derives for itself, such as `etag fn`. */
export function settingsOf(app: object): Readonly<Record<string, unknown>> {
  return (app as { settings: Record<string, unknown> }).settings;
}

/** True if the application trusts the address as a proxy, by its setting `trust proxy`. */
export function trustsProxy(app: object, address: string): boolean {
  const isTrusted = settingsOf(app)['trust proxy fn'] as (address: string, hop: number) => boolean;
  return isTrusted(address, 0);
}

export interface MessageClasses {
  IncomingMessage: typeof http.IncomingMessage;
  ServerResponse: typeof http.ServerResponse;
}

/**
 * 3. The prototypes `app.request` and `app.response`, which Express gives each request and response by
 * Object.setPrototypeOf. Returns classes for Node's server that have these prototypes already, so that
 * Express has nothing to change.
 */
export function messageClasses(app: Express): MessageClasses {
  class IncomingMessage extends http.IncomingMessage {}
  class ServerResponse<
    Request extends http.IncomingMessage = http.IncomingMessage,
  > extends http.ServerResponse<Request> {}
  app.request = become(IncomingMessage.prototype, app.request);
  app.response = become(ServerResponse.prototype, app.response);
  return { IncomingMessage, ServerResponse };
}

/** Copies the properties and the prototype of `original` to `prototype`. */
function become<T extends object>(prototype: object, original: T): T {
  Object.setPrototypeOf(prototype, Object.getPrototypeOf(original) as object);
  return Object.defineProperties(prototype, Object.getOwnPropertyDescriptors(original)) as T;
}

/** The routes decide about 304. Express would also answer it for `If-None-Match: *` on any route. */
export function leaveConditionsToRoutes(app: Express): void {
  Object.defineProperty(app.request, 'fresh', { value: false });
}

/**
 * 4. Everything that `res.json` reads. True if the response uses the method of `original`, which is
 * `express.response`, and `res.json` would send only the text and its length.
 */
export function isPlainAnswer(res: Response, original: Response): boolean {
  const { statusCode, req, app } = res;
  const settings = settingsOf(app);
  return (
    res.json === original.json &&
    res.send === original.send &&
    statusCode >= 200 &&
    statusCode !== 204 &&
    statusCode !== 205 &&
    statusCode !== 304 &&
    !settings['etag fn'] &&
    !settings['json replacer'] &&
    !settings['json spaces'] &&
    !settings['json escape'] &&
    !req.fresh &&
    !res.hasHeader('Content-Type') &&
    !res.hasHeader('Transfer-Encoding')
  );
}
