import type { ProjectValues } from '../db/factories/projects/columns.js';

/** Well-known projects with their technologies. Append only: the id of a project is derived from its index. */
export const CATALOGUE: ProjectValues[] = [
  project(
    'PostgreSQL',
    'An object-relational database, known for its reliability and its extensions.',
    'C',
    'SQL',
    'Perl',
  ),
  project(
    'Linux',
    'The operating system kernel that runs from phones to supercomputers.',
    'C',
    'Assembly',
    'Rust',
  ),
  project('Git', 'A distributed version control system.', 'C', 'Shell', 'Perl'),
  project('Node.js', 'A JavaScript runtime built on V8.', 'C++', 'JavaScript', 'Python'),
  project('TypeScript', 'JavaScript with syntax for types, and its compiler.', 'TypeScript'),
  project(
    'NestJS',
    'A framework for server-side applications in modules.',
    'TypeScript',
    'Node.js',
  ),
  project(
    'Drizzle ORM',
    'A typed query builder and mapper for SQL databases.',
    'TypeScript',
    'SQL',
  ),
  project('Postgres.js', 'A PostgreSQL client for Node.js, Deno and Bun.', 'JavaScript', 'Node.js'),
  project('Express', 'A minimal web framework for Node.js.', 'JavaScript', 'Node.js'),
  project(
    'Jest',
    'A test runner with snapshots and parallel workers.',
    'TypeScript',
    'JavaScript',
    'Node.js',
  ),
  project('React', 'A library for user interfaces made of components.', 'JavaScript', 'TypeScript'),
  project('Vue.js', 'A progressive framework for user interfaces.', 'TypeScript', 'JavaScript'),
  project(
    'Svelte',
    'A compiler that turns components into small JavaScript.',
    'JavaScript',
    'TypeScript',
  ),
  project('Angular', 'A platform for web applications.', 'TypeScript', 'RxJS'),
  project(
    'Vite',
    'A build tool and development server for the web.',
    'TypeScript',
    'Node.js',
    'Rust',
  ),
  project('Python', 'A general-purpose language with a large standard library.', 'Python', 'C'),
  project('Django', 'A web framework with an administration of its own.', 'Python', 'SQL'),
  project(
    'Ruby on Rails',
    'A web framework that favours convention over configuration.',
    'Ruby',
    'SQL',
  ),
  project('Go', 'A language for simple, concurrent programs.', 'Go', 'Assembly'),
  project('Kubernetes', 'Runs containers on many machines.', 'Go', 'Shell'),
  project('Docker', 'Packs programs and what they need into images.', 'Go'),
  project('Prometheus', 'Collects metrics and alerts on them.', 'Go', 'TypeScript'),
  project('Grafana', 'Dashboards over many sources of data.', 'TypeScript', 'Go', 'React'),
  project('Rust', 'A language for safe programs without a garbage collector.', 'Rust', 'C++'),
  project('Redis', 'A store of data structures in memory.', 'C', 'Tcl'),
  project('SQLite', 'A database in a library, in a file.', 'C', 'SQL', 'Tcl'),
  project('DuckDB', 'An analytical database in a library.', 'C++', 'SQL'),
  project('nginx', 'A web server, reverse proxy and load balancer.', 'C'),
  project(
    'OpenTelemetry',
    'Traces, metrics and logs in one vocabulary.',
    'Go',
    'Java',
    'TypeScript',
    'Python',
  ),
  project(
    'Visual Studio Code',
    'An editor with extensions for most languages.',
    'TypeScript',
    'Electron',
    'CSS',
  ),
];

function project(name: string, description: string, ...technologies: string[]): ProjectValues {
  return { name, description, technologies };
}
