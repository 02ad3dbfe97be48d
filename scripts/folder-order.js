/**
 * The order of imports: a folder may use those before it in its list. The linter bans the other imports, and
 * test/repository/architecture.spec.ts checks them. A folder of `src` that is not listed is a new feature, which stands
 * where `projects` does. The files of `src` itself come after the features.
 */
export const FOLDER_ORDER = {
  src: [
    'process',
    'db',
    'http',
    'changes',
    'entities',
    'testing',
    'technologies',
    'config',
    'auth',
    'limits',
    'mesh',
    'health',
    'observability',
    'projects',
    'client',
    'cli',
  ],
  'src/db': ['query', 'driver', 'embedded', 'entity', 'factories', 'replicas'],
  'src/http': ['internals', 'problems', 'answers', 'streams', 'server', 'messages', 'contract'],
};

/** Returns the folders that come after `name` in the order of `parent`. */
export function laterFolders(parent, name) {
  const order = FOLDER_ORDER[parent];
  return order.slice(order.indexOf(name) + 1);
}
