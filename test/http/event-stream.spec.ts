import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Response } from 'express';
import { eventBytes, EventStream } from '../../src/http/streams/event-stream.js';
import { atEnd, endEachTest, sleep, until } from '../support/connections.js';
import { openEvents } from '../support/event-client.js';

const BEAT_MS = 300;

endEachTest();

/** An open stream and its client. */
async function open() {
  let stream: EventStream | undefined;
  const server = http
    .createServer((_req, res) => (stream = new EventStream(res as Response, BEAT_MS)))
    .listen(0, '127.0.0.1');
  atEnd(() => server.close());
  await until(() => server.listening);
  const { port } = server.address() as AddressInfo;
  const client = await openEvents(`http://127.0.0.1:${port}/`);
  atEnd(() => client.leave());
  return { stream: stream!, client };
}

/** This exceeds the data that the system keeps for a client that does not read. */
const fill = (stream: EventStream) => {
  const large = eventBytes('x', 'large', { text: 'x'.repeat(512 * 1024) });
  for (let sent = 0; sent < 40; sent++) stream.send(large);
};

it('an event stream sends a comment at every interval while it is open', async () => {
  const { stream, client } = await open();
  const began = performance.now();
  await until(() => client.comments === 3);
  expect(performance.now() - began).toBeGreaterThan(2.5 * BEAT_MS);
  client.leave();
  await stream.closed;
  expect(stream.isOpen).toBe(false);
});

it('an event stream is closed when its client reads nothing for two intervals, and not earlier', async () => {
  const { stream, client } = await open();
  client.response.pause();
  fill(stream);
  const began = performance.now();
  await sleep(BEAT_MS);
  expect([stream.isOpen, stream.isBehind]).toEqual([true, true]);
  await stream.closed;
  expect(performance.now() - began).toBeGreaterThan(1.9 * BEAT_MS);
  client.response.resume();
  await until(() => client.hasEnded);
  expect(client.response.complete).toBe(false);
});

it('an event stream is also closed while it waits for its client to read', async () => {
  const { stream, client } = await open();
  client.response.pause();
  fill(stream);
  const began = performance.now();
  await stream.drained();
  expect(stream.isOpen).toBe(false);
  const tookMs = performance.now() - began;
  expect([tookMs > 1.9 * BEAT_MS, tookMs < 10 * BEAT_MS]).toEqual([true, true]);
});

it('an event stream is not closed when its client reads slowly', async () => {
  const { stream, client } = await open();
  client.response.pause();
  fill(stream);
  for (let beat = 0; beat < 6; beat++) {
    await sleep(BEAT_MS);
    expect([stream.isOpen, stream.isBehind]).toEqual([true, true]);
    for (let taken = 0; taken < 2 * 1024 * 1024;)
      taken += client.response.read()?.length ?? (await sleep(1), 0);
  }
});

it('an event stream ends within a second even if its client reads nothing', async () => {
  const { stream, client } = await open();
  client.response.pause();
  fill(stream);
  const began = performance.now();
  stream.end();
  await stream.closed;
  expect(performance.now() - began).toBeGreaterThan(500);
  client.response.resume();
  await until(() => client.hasEnded);
  expect(client.response.complete).toBe(false);
});
