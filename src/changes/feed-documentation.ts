export const FEED = `
Every change to any project, whatever made it, exactly once and in the order of the commits: who
reads on from \`meta.nextCursor\`, now or tomorrow, skips nothing and meets nothing twice. What is no
longer kept is 410 \`cursor_expired\`. Whoever begins, or has to begin anew, takes the cursor of
\`after=now\` first, then reads the projects, and then goes on from that cursor: the other way round
what is committed in between would be missed.

With \`Accept: text/event-stream\` it goes on live (server-sent events), as an \`EventSource\` of a
browser reads it: the \`id\` of an event is the cursor of its change, the name of the event the
action, its data the change. A comment comes every 15 seconds. A client that does not read is cut
off, and any stream may end: \`EventSource\` comes back by itself, with the last \`id\` in
\`Last-Event-ID\`, and goes on behind it. \`limit\` means nothing to a stream.
`.trim();

export const STREAM = 'Server-sent events, without an end.';

export const EXAMPLE_STREAM = `retry: 1000
id: WzQyLDBd.p3yFqJ0c1cQ6q1a7v6mJcw

id: WzQyLDU3XQ.2NuTjZDh0HGfWX8Tn0lzdA
event: deleted
data: {"cursor":"WzQyLDU3XQ.2NuTjZDh0HGfWX8Tn0lzdA","projectId":"0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10",…}

`;

export const LAST_EVENT_ID =
  'For a stream: the `id` of the last event seen, to go on behind it, whatever `after` says.';
