import { idFieldOf, type TrackedEntity } from './tracked-entity.js';

export function feedDescription({ name, path }: TrackedEntity<never>): string {
  return `
Every change to any ${name}, from every source, exactly once and in the order of the commits. A reader
that continues from \`meta.nextCursor\`, at once or days later, misses nothing and gets nothing twice.
When changes after the cursor are no longer kept, the answer is 410 \`cursor_expired\`. To start, or to
start again, take the cursor of \`after=now\` first, then read the ${path}, then continue from that
cursor. In another order you would miss the changes committed in between.

With \`Accept: text/event-stream\` the answer stays open and new changes follow as server-sent events,
which the \`EventSource\` of a browser reads: the \`id\` of an event is the cursor of its change, its name
is the action, its data is the change. A comment comes every 15 seconds. \`limit\` has no effect. A client
that does not read is cut off, and any stream may end: \`EventSource\` then connects again by itself with
the last \`id\` in \`Last-Event-ID\`, and the stream continues after that change. An \`EventSource\` gives up
after any answer other than 200, so a stream stays open while the database is away, and what would be 429,
500 or 503 for another request is a stream that says when to come back (\`retry\`) and ends.
`.trim();
}

export const STREAM = 'Server-sent events, without an end.';

export function exampleStream({ name, exampleId }: TrackedEntity<never>): string {
  return `retry: 1000

id: WzQyLDBd.p3yFqJ0c1cQ6q1a7v6mJcw

id: WzQyLDU3XQ.2NuTjZDh0HGfWX8Tn0lzdA
event: deleted
data: {"cursor":"WzQyLDU3XQ.2NuTjZDh0HGfWX8Tn0lzdA","${idFieldOf(name)}":"${exampleId}",…}

`;
}

export const LAST_EVENT_ID =
  'For a stream: the `id` of the last event received. The stream continues after it, whatever `after` says.';
