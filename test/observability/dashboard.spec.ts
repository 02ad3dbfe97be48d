import { readFile } from 'node:fs/promises';
import { aProject } from '../support/builders.js';
import { until } from '../support/connections.js';
import { openEvents } from '../support/event-client.js';
import { startService } from '../support/service.js';

interface Dashboard {
  __inputs?: unknown;
  templating: { list: { name: string; definition?: string }[] };
  panels: { title: string; targets: { expr: string }[] }[];
}

const FUNCTIONS = ['sum', 'max', 'by', 'rate', 'histogram_quantile', 'label_values'];
const LABELS_OF_PROMETHEUS = ['job', 'instance', 'le'];

/** Returns the names in a query that are neither functions nor inside braces, brackets or quotes, and its labels. */
function namesIn(query: string): { metrics: string[]; labels: string[] } {
  const grouped = [...query.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(', '));
  const matched = [...query.matchAll(/[{,](\w+)=~?"/g)].map(([, name]) => name!);
  const rest = query.replace(/\bby \([^)]*\)|\{[^}]*\}|\[[^\]]*\]|, (job|instance)\)/g, '');
  const names = rest.match(/[a-z_]\w*/gi) ?? [];
  return {
    metrics: names.filter((name) => !FUNCTIONS.includes(name)),
    labels: [...grouped, ...matched].filter((name) => !LABELS_OF_PROMETHEUS.includes(name)),
  };
}

it('the dashboard uses only metrics of /metrics', async () => {
  const text = await readFile('docs/grafana/projects-service.json', 'utf8');
  const dashboard = JSON.parse(text) as Dashboard;
  // Grafana never asks for inputs if a dashboard is provisioned.
  expect(dashboard.__inputs).toBeUndefined();
  expect(dashboard.templating.list.map(({ name }) => name)).toEqual([
    'datasource',
    'job',
    'instance',
  ]);

  const service = await startService();
  const stream = await openEvents(`${service.url}/api/projects/changes`);
  await fetch(`${service.url}/api/projects`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(aProject()),
  });
  await stream.received(1);
  stream.leave();
  let metrics = '';
  await until(async () => {
    metrics = await (await fetch(`${service.url}/metrics`)).text();
    return metrics.includes('route="/api/projects"');
  });
  await service.close();

  const queries = [
    ...dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ...dashboard.templating.list.flatMap(({ definition }) => definition ?? []),
  ];
  expect(queries.length).toBeGreaterThan(12);
  for (const query of queries) {
    const { metrics: names, labels } = namesIn(query);
    expect([query, names.length]).toEqual([query, 1]);
    const samples = metrics.split('\n').filter((line) => RegExp(`^${names[0]}[ {]`).test(line));
    expect([query, samples.length > 0]).toEqual([query, true]);
    for (const label of labels) expect(samples.join('\n')).toContain(`${label}="`);
  }
  const alerts = await readFile('docs/operations.md', 'utf8');
  const named = [
    ...alerts.matchAll(
      /\b((?:http|db|changes|nodejs)_\w+_(?:seconds|total|sessions|waiting)|db_pool_\w+)/g,
    ),
  ];
  for (const [, name] of named) expect(metrics).toContain(`# TYPE ${name} `);
});
