import { setTimeout as sleep } from 'node:timers/promises';

/** Follows the change feed as server-sent events, and reconnects with the last id after every disconnect. */
export function followFeed(url) {
  const feed = { seen: [], reconnects: -1, until, stop };
  let lastId;
  let stopped = false;
  let reading = new AbortController();
  void follow();
  return feed;

  async function follow() {
    while (!stopped) {
      reading = new AbortController();
      feed.reconnects++;
      await read().catch(() => {});
      await sleep(50);
    }
  }

  async function read() {
    const headers = { Accept: 'text/event-stream', ...(lastId && { 'Last-Event-ID': lastId }) };
    const response = await fetch(url, { headers, signal: reading.signal });
    if (!response.ok) return;
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body) {
      text += decoder.decode(chunk, { stream: true });
      const events = text.split('\n\n');
      text = events.pop();
      for (const event of events) take(event);
    }
  }

  function take(event) {
    const fields = new Map(event.split('\n').map((line) => line.split(/: ?(.*)/s, 2)));
    if (!fields.has('data')) return; // a comment
    const { projectId: id, version, action } = JSON.parse(fields.get('data'));
    feed.seen.push({ id, version, action });
    lastId = fields.get('id');
  }

  /** Resolves when this many changes were received, or after half a minute without any. */
  async function until(count) {
    for (let left = 300; feed.seen.length < count && left > 0; left--) await sleep(100);
    await sleep(300); // wait for changes that might arrive twice
  }

  function stop() {
    stopped = true;
    reading.abort();
  }
}
