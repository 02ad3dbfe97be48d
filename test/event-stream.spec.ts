import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { jest } from '@jest/globals';
import type { Response } from 'express';
import { eventBytes, EventStream } from '../src/http/event-stream.js';
import { atEnd, endEachTest, sleep, until } from './support/connections.js';
import { openEvents } from './support/event-client.js';

beforeEach(() => {
  jest.useFakeTimers({
    doNotFake: ['nextTick', 'performance', 'queueMicrotask', 'setImmediate', 'setTimeout'],
  });
});
afterEach(() => jest.useRealTimers());
endEachTest();

/** An open stream and its client. */
async function open() {
  let stream: EventStream | undefined;
  const server = http
    .createServer((_req, res) => (stream = new EventStream(res as Response, 'first')))
    .listen(0, '127.0.0.1');
  atEnd(() => server.close());
  await until(() => server.listening);
  const { port } = server.address() as AddressInfo;
  const client = await openEvents(`http://127.0.0.1:${port}/`);
  atEnd(() => client.leave());
  return { stream: stream!, client };
}

/** More than the system keeps for a client that does not read. */
const fill = (stream: EventStream) => {
  const large = eventBytes('x', 'large', { text: 'x'.repeat(512 * 1024) });
  for (let sent = 0; sent < 40; sent++) stream.send(large);
};

it('sends a comment every 15 seconds for as long as it is open', async () => {
  const { stream, client } = await open();
  for (let beat = 1; beat <= 3; beat++) {
    jest.advanceTimersByTime(14_999);
    await sleep(20);
    expect(client.comments).toBe(beat - 1);
    jest.advanceTimersByTime(1);
    await until(() => client.comments === beat);
  }
  client.leave();
  await stream.closed;
  expect(jest.getTimerCount()).toBe(0);
});

it('is cut off when its client has taken nothing from one comment to the next', async () => {
  const { stream, client } = await open();
  client.response.pause();
  fill(stream);
  await sleep(100);
  expect(stream.isBehind).toBe(true);
  jest.advanceTimersByTime(15_000);
  await sleep(20);
  expect(stream.isOpen).toBe(true);
  jest.advanceTimersByTime(15_000);
  await stream.closed;
  expect(stream.isOpen).toBe(false);
});

it('is not cut off when its client takes little by little', async () => {
  const { stream, client } = await open();
  for (let beat = 0; beat < 4; beat++) {
    const before = client.events.length;
    client.response.resume();
    await until(() => client.events.length >= before + Math.min(beat, 1));
    client.response.pause();
    fill(stream);
    await sleep(20);
    expect(stream.isBehind).toBe(true);
    jest.advanceTimersByTime(15_000);
  }
  expect(stream.isOpen).toBe(true);
});

it('ends within a second though its client takes nothing', async () => {
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
