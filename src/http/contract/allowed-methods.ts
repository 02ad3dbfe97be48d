import type { Request } from 'express';

interface Route {
  path: unknown;
  methods: Record<string, boolean>;
}

/** What Express's router (router 2) keeps for each route. */
interface Layer {
  route?: Route;
  match(path: string): boolean;
}

/**
 * The methods that the request's path is routed for, as the Allow header lists them; none for an
 * unknown path. Of routes that all match, those count that name most of the path: `…/export`, not
 * `…/:id`, as in an OpenAPI document.
 */
export function allowedMethods(req: Request): string[] {
  const matching = layersOf(req).filter((layer) => layer.match(req.path));
  const closest = matching.map(({ route }) => wildness(route.path)).sort()[0];
  const methods = new Set<string>();
  for (const { route } of matching) {
    if (wildness(route.path) !== closest) continue;
    for (const method of Object.keys(route.methods)) {
      if (method !== '_all') methods.add(method.toUpperCase());
    }
  }
  if (methods.has('GET')) methods.add('HEAD');
  if (methods.size > 0) methods.add('OPTIONS');
  return [...methods].sort();
}

/** Whether a route was found for the request, so that a failure is that route's own. */
export function isRouted(req: Request): boolean {
  const { methods } = (req.route ?? { methods: {} }) as Route;
  const method = req.method.toLowerCase();
  return Boolean(methods[method] || methods._all || (method === 'head' && methods.get));
}

const rivals = new WeakMap<Route, RoutedLayer[]>();

/**
 * The methods of the path where a parameter of the request's route has caught a path that other
 * routes name (`DELETE …/export` by `DELETE …/:id`); undefined where it has not.
 */
export function methodsOfNamedPath(req: Request): string[] | undefined {
  const route = req.route as Route | undefined;
  if (!route) return undefined;
  let others = rivals.get(route);
  if (!others) rivals.set(route, (others = rivalsOf(route, req)));
  if (!others.some((layer) => layer.match(req.path))) return undefined;
  const methods = allowedMethods(req);
  // Otherwise the application has put the route that names the path behind this one.
  return methods.includes(req.method) ? undefined : methods;
}

/** The routes that name more of a path than this one. Asked for when the application has all of its routes. */
function rivalsOf(route: Route, req: Request): RoutedLayer[] {
  const wild = wildness(route.path);
  if (!wild.includes(WILD)) return [];
  return layersOf(req).filter((layer) => wildness(layer.route.path) < wild);
}

type RoutedLayer = Layer & { route: Route };

function layersOf(req: Request): RoutedLayer[] {
  const { stack } = (req.app as unknown as { router: { stack: Layer[] } }).router;
  return stack.filter((layer): layer is RoutedLayer => layer.route !== undefined);
}

const WILD = '1';

/** A digit for each part of a path, to compare paths by: 1 for a parameter, 0 for a name. */
function wildness(path: unknown): string {
  if (typeof path !== 'string') return WILD; // a pattern, or several paths
  return path
    .split('/')
    .map((part) => (/[:*{]/.test(part) ? WILD : '0'))
    .join('');
}
