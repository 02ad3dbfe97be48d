import { idFieldOf, type TrackedEntity } from './tracked-entity.js';

export function feedDescription({ name, path }: TrackedEntity<never>): string {
  return `
The feed contains every change to any ${name}, from every source, exactly once and in commit order. A
reader that continues from \`meta.nextCursor\`, immediately or days later, misses nothing and gets nothing
twice. If changes after the cursor have been removed, the answer is 410 \`cursor_expired\`. To start, or to
start again, first get a cursor with \`after=now\`, then read the ${path}, then continue from that
cursor. In another order you would miss the changes committed in between.

With \`Accept: text/event-stream\` the answer stays open and sends new changes as server-sent events, for
\`EventSource\` in a browser. The \`id\` of an event is the cursor of its change, its name is the action, and
its data is the change. A comment follows every 15 seconds. \`limit\` has no effect. A client that does not
read is disconnected, and any stream may end: \`EventSource\` then reconnects with the last \`id\` in
\`Last-Event-ID\`, and the stream continues after that change. An \`EventSource\` stops for ever after a status
other than 200. So a stream stays open while the database is unavailable, and instead of 429, 500 or 503
the answer is a stream that sets the time to reconnect (\`retry\`) and ends.
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
  'For a stream: the `id` of the last received event. The stream continues after it and ignores `after`.';
