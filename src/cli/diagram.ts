import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { DERIVATIONS, TABLE_GROUPS } from '../db/derivations.js';
import {
  type DescribedColumn,
  type DescribedDerivation,
  type DescribedReference,
  type DescribedTable,
  describeSchema,
  type NamedSql,
  tableName,
} from '../db/describe-schema.js';
import { ExplainedError } from '../db/explain-error.js';
import * as schema from '../db/schema.js';

/** Twice the layout size, for sharp text on screens with a high resolution. */
const SCALE = 2;
const COLOURS = {
  page: '#f6f8fb',
  card: '#ffffff',
  rule: '#e2e8f0',
  accent: '#3730a3',
  text: '#0f172a',
  muted: '#64748b',
} as const;

// Graphviz lays the text out with its built-in font widths. Roboto is not wider than Helvetica, and
// Roboto Mono is exactly as wide as Courier, so text fits into its cell. Bold text is wider than Graphviz
// assumes, so it is used only where there is room.
const SANS = 'Helvetica';
const BOLD = 'Helvetica-Bold';
const MONO = 'Courier';
const FONT_FILES = [
  '@expo-google-fonts/roboto/400Regular/Roboto_400Regular.ttf',
  '@expo-google-fonts/roboto/700Bold/Roboto_700Bold.ttf',
  '@expo-google-fonts/roboto-mono/400Regular/RobotoMono_400Regular.ttf',
];

let tools: ReturnType<typeof loadTools> | undefined;

/**
 * Draws the entity diagram of `src/db/schema.ts` as a PNG. The same schema gives the same bytes on every
 * machine: layout and drawing are WebAssembly, and the fonts come from npm, not from the system.
 * @throws Error if the development dependencies are not installed
 */
export async function drawDiagram(tables = describeSchema(schema)): Promise<Buffer> {
  const { graphviz, Resvg, fontBuffers } = await (tools ??= loadTools());
  const svg = graphviz
    .dot(diagramSource(tables))
    .replaceAll('"Helvetica,sans-Serif"', '"Roboto"')
    .replaceAll('"Courier,monospace"', '"Roboto Mono"');
  const picture = new Resvg(svg, {
    background: COLOURS.page,
    font: { fontBuffers },
    fitTo: { mode: 'zoom', value: SCALE },
  });
  return Buffer.from(picture.render().asPng());
}

// These are imported here because the production image has no development dependencies.
async function loadTools() {
  try {
    const require = createRequire(import.meta.url);
    const read = (file: string) => readFile(require.resolve(file));
    const [{ Graphviz }, { initWasm, Resvg }] = await Promise.all([
      import('@hpcc-js/wasm-graphviz'),
      import('@resvg/resvg-wasm'),
    ]);
    await initWasm(await read('@resvg/resvg-wasm/index_bg.wasm'));
    const fontBuffers = await Promise.all(FONT_FILES.map(read));
    return { graphviz: await Graphviz.load(), Resvg, fontBuffers };
  } catch (cause) {
    if (!/MODULE_NOT_FOUND$/.test(String((cause as NodeJS.ErrnoException).code))) throw cause;
    throw new ExplainedError('Drawing needs the development dependencies: run "npm ci" first', {
      cause,
    });
  }
}

/** The derivations between tables, and the groups of tables. A table without a group has no frame. */
interface Relations {
  derivations: DescribedDerivation[];
  groups: Record<string, string[]>;
}

const RELATIONS: Relations = {
  derivations: DERIVATIONS.map(({ from, to, by }) => ({
    from: tableName(from),
    to: tableName(to),
    by,
  })),
  groups: Object.fromEntries(
    Object.entries(TABLE_GROUPS).map(([title, tables]) => [title, tables.map(tableName)]),
  ),
};

/**
 * Returns the diagram in the DOT language: a card for each table, a frame for each group, a crow's foot
 * for each foreign key, and a dashed arrow from each table to the tables that are derived from it.
 */
export function diagramSource(tables: DescribedTable[], relations = RELATIONS): string {
  const nodes = tables.map((table) => `${quoted(table.name)} [label=<${card(table)}>]`);
  const frames = Object.entries(relations.groups).map(([title, names], i) =>
    frame(title, names, i),
  );
  const keys = tables.flatMap((table) => table.references.map((to) => edge(table.name, to)));
  return `digraph {
    graph [rankdir=TB nodesep=0.5 ranksep=0.6 pad=0.25
      bgcolor=transparent fontname="${SANS}" labelloc=t labeljust=l label=<${heading()}>]
    node [shape=plain fontname="${SANS}"]
    edge [dir=both color="${COLOURS.accent}" fontname="${SANS}"]
    ${[...nodes, ...frames, ...keys, ...relations.derivations.map(derivationEdge)].join('\n')}
  }`;
}

function frame(title: string, names: string[], index: number): string {
  const label = text(title, { face: BOLD, size: 13, colour: COLOURS.muted });
  return `subgraph cluster_${index} {
    graph [style=rounded color="${COLOURS.muted}" margin=16 labeljust=l label=<${label}>]
    ${names.map(quoted).join('; ')}
  }`;
}

function derivationEdge({ from, to, by }: DescribedDerivation): string {
  const lines = by.map((name) =>
    text(`  ${name}`, { face: MONO, size: 9.5, colour: COLOURS.muted }),
  );
  const label = `label=<${lines.join('<br/>')}>`;
  return `${quoted(from)} -> ${quoted(to)} [dir=forward style=dashed color="${COLOURS.muted}" ${label}]`;
}

function heading(): string {
  const legend =
    'Drawn from src/db/schema.ts · PK primary key · dashed: made from that table, by these functions';
  return `<table border="0" cellspacing="0" cellpadding="2">
    <tr><td align="left">${text('Database', { face: BOLD, size: 20 })}</td></tr>
    <tr><td align="left">${text(legend, { size: 10, colour: COLOURS.muted })}</td></tr>
    <tr><td height="8"></td></tr>
  </table>`;
}

// A card has six columns: key, name, type, not null, default or generator, and an empty one at the right edge.
function card(table: DescribedTable): string {
  return `<table border="0" style="rounded" cellspacing="0" cellpadding="2" bgcolor="${COLOURS.accent}">
    <tr><td align="left" cellpadding="7">${text(` ${table.name}`, { face: BOLD, size: 14, colour: COLOURS.card })}</td></tr>
    <tr><td><table border="0" style="rounded" cellspacing="0" cellpadding="2" bgcolor="${COLOURS.card}" color="${COLOURS.rule}">
      <tr><td></td></tr>
      ${table.columns.map((column) => columnRow(table, column)).join('')}
      ${section('Foreign keys', table.references)}${section('Indexes', table.indexes)}
      ${section('Unique', table.uniques)}${section('Checks', table.checks)}
      <tr><td height="8"></td></tr>
    </table></td></tr>
  </table>`;
}

function columnRow(table: DescribedTable, { name, type, notNull, filledBy }: DescribedColumn) {
  const keys = [
    table.primaryKey.includes(name) && 'PK',
    table.references.some(({ columns }) => columns.includes(name)) && 'FK',
  ];
  const key = text(keys.filter(Boolean).join(' '), { face: BOLD, size: 9, colour: COLOURS.accent });
  const sql = (words: string, colour: string = COLOURS.muted) =>
    `<td align="left">${text(words && `${words}  `, { face: MONO, size: 10, colour })}</td>`;
  return `<tr>
    <td width="42" height="21" port="${escaped(`to ${name}`)}">${key}</td>
    <td align="left">${text(`${name}   `)}</td>
    ${sql(shortType(type), COLOURS.text)}${sql(notNull ? 'not null' : '')}${sql(filledBy ?? '')}
    <td port="${escaped(`from ${name}`)}"></td>
  </tr>`;
}

/** Returns the shorter one of PostgreSQL's names for the type. */
function shortType(type: string): string {
  return type.replace(/^timestamp ?(\(\d\))? with time zone/, 'timestamptz$1');
}

function section(title: string, entries: NamedSql[]): string {
  if (entries.length === 0) return '';
  const row = (height: number, content: string) =>
    `<tr><td></td><td colspan="4" height="${height}" align="left" valign="bottom">${content}</td></tr>`;
  const heading = text(title, { face: BOLD, size: 9.5, colour: COLOURS.accent });
  const rows = entries.flatMap(({ name, sql }) => [
    row(22, text(name, { size: 10.5 })),
    row(15, text(sql, { face: MONO, size: 9.5, colour: COLOURS.muted })),
  ]);
  return `<tr><td></td></tr><hr/>${row(20, heading)}${rows.join('')}`;
}

// The edge goes from the right side of the referring card to the left side of the other, each at the row
// of the key's first column.
function edge(from: string, { columns, table, foreignColumns }: DescribedReference): string {
  const tail = `${quoted(from)}:${quoted(`from ${columns[0]}`)}:e`;
  const head = `${quoted(table)}:${quoted(`to ${foreignColumns[0]}`)}:w`;
  return `${tail} -> ${head} [arrowtail=crow arrowhead=tee]`;
}

interface TextStyle {
  face?: string;
  size?: number;
  colour?: string;
}

function text(content: string, style: TextStyle = {}): string {
  if (content === '') return '';
  const { face = SANS, size = 11.5, colour = COLOURS.text } = style;
  return `<font face="${face}" point-size="${size}" color="${colour}">${escaped(content)}</font>`;
}

function quoted(name: string): string {
  return JSON.stringify(name);
}

function escaped(content: string): string {
  return content
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
