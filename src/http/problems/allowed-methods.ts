import type { Request } from 'express';
import {
  accepts,
  matchedRoute,
  methodsOf,
  type Route,
  type RoutedLayer,
  routesInOrder,
} from '../internals/express.js';

/**
 * Returns the methods that the routes of the request's path accept, for the Allow header; empty for an
 * unknown path. If several routes match, only the most specific count: `…/export`, not `…/:id`, as in
 * an OpenAPI document.
 */
export function allowedMethods(req: Request): string[] {
  const matching = layersOf(req).filter((layer) => layer.match(req.path));
  const closest = matching.map(({ route }) => wildness(route.path)).sort()[0];
  const methods = new Set<string>();
  for (const { route } of matching) {
    if (wildness(route.path) !== closest) continue;
    for (const method of methodsOf(route)) methods.add(method);
  }
  if (methods.has('GET')) methods.add('HEAD');
  if (methods.size > 0) methods.add('OPTIONS');
  return [...methods].sort();
}

/** True if the router found a route for the request, so a 404 comes from that route. */
export function isRouted(req: Request): boolean {
  const route = matchedRoute(req);
  return route !== undefined && accepts(route, req.method);
}

const rivals = new WeakMap<Route, RoutedLayer[]>();

/**
 * Returns the allowed methods if a path parameter of the request's route has matched a path that
 * more specific routes own (`DELETE …/export` matched `DELETE …/:id`); otherwise undefined.
 */
export function methodsOfNamedPath(req: Request): string[] | undefined {
  const route = matchedRoute(req);
  if (!route) return undefined;
  let others = rivals.get(route);
  if (!others) rivals.set(route, (others = rivalsOf(route, req)));
  if (!others.some((layer) => layer.match(req.path))) return undefined;
  const methods = allowedMethods(req);
  // If the method is allowed, the application has registered the specific route after this one.
  return methods.includes(req.method) ? undefined : methods;
}

/** Returns the routes that are more specific than this one. Call it after all routes are registered. */
function rivalsOf(route: Route, req: Request): RoutedLayer[] {
  const wild = wildness(route.path);
  if (!wild.includes(WILD)) return [];
  return layersOf(req).filter((layer) => wildness(layer.route.path) < wild);
}

function layersOf(req: Request): RoutedLayer[] {
  return routesInOrder(req.app) ?? [];
}

const WILD = '1';

/** Returns a digit for each segment of a path, 1 for a parameter and 0 for a literal: a smaller text is more specific. */
function wildness(path: unknown): string {
  if (typeof path !== 'string') return WILD; // a pattern, or several paths
  return path
    .split('/')
    .map((part) => (/[:*{]/.test(part) ? WILD : '0'))
    .join('');
}
