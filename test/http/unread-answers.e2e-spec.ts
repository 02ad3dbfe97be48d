import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Controller, Get, Module, Query } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import express from 'express';
import { LeanExpressAdapter, type LeanExpressAdapterOptions } from '../../src/index.js';
import { overloadProtection } from '../../src/http/server/overload.js';
import { sleep, until } from '../support/connections.js';

const MB = 1024 * 1024;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

@Controller()
class Texts {
  @Get('text')
  text(@Query('bytes') bytes: string) {
    return { text: 'x'.repeat(Number(bytes)) };
  }
}

@Module({ controllers: [Texts] })
class HostModule {}

/** A host application with the exported adapter. */
async function startHost(options: LeanExpressAdapterOptions, maxConcurrent = 0) {
  const adapter = new LeanExpressAdapter(express(), options);
  const app = await NestFactory.create(HostModule, adapter, { logger: false });
  app.use(overloadProtection({ maxConcurrent, holdMs: 0 }));
  await app.listen(0, '127.0.0.1');
  const { port } = (app.getHttpServer() as net.Server).address() as net.AddressInfo;
  return { app, port };
}

const requestFor = (path: string) => `GET ${path} HTTP/1.1\r\nHost: test\r\n\r\n`;

/** A client that sends a request and reads nothing, or reads only on request. */
function open(port: number, path: string) {
  const socket = net.connect(port, '127.0.0.1').pause();
  const state = { socket, received: 0, isCut: false };
  socket.on('error', () => (state.isCut = true));
  socket.on('close', () => (state.isCut = true));
  socket.on('data', (part) => (state.received += part.length));
  socket.write(requestFor(path));
  return state;
}

/** A socket that is not read does not notice its own end, but a write fails. */
async function isCutWithin(client: ReturnType<typeof open>) {
  await until(() => {
    if (!client.isCut) client.socket.write('\r\n');
    return client.isCut;
  }, 30_000);
}

/** This exceeds the data that the system keeps for a connection. */
const LARGE = `/text?bytes=${32 * MB}`;

describe('an answer that is not read', () => {
  it('ends with a disconnect when its client reads nothing for the time limit', async () => {
    const { app, port } = await startHost({ sendTimeoutMs: 300 });
    await isCutWithin(open(port, LARGE));
    await app.close();
  });

  it('continues while its client reads slowly', async () => {
    const { app, port } = await startHost({ sendTimeoutMs: 3000 });
    const client = open(port, `/text?bytes=${48 * MB}`);
    while (client.received < 32 * MB && !client.isCut) {
      client.socket.resume();
      const before = client.received;
      await until(() => client.received > before + MB / 2 || client.isCut);
      client.socket.pause();
      await sleep(200);
    }
    expect(client.isCut).toBe(false);
    client.socket.resume();
    await until(() => client.received > 48 * MB);
    client.socket.destroy();
    await app.close();
  });

  // Only Linux reports the data that it keeps for a connection.
  const onLinux = process.platform === 'linux' ? it : it.skip;
  onLinux('is not cut off while its client reads what the system keeps for it', async () => {
    const { app, port } = await startHost({ sendTimeoutMs: 3000 });
    const client = open(port, LARGE);
    let read = 0;
    while (read < 1.5 * MB && !client.isCut) {
      read += (client.socket.read(20 * 1024) as Buffer | null)?.length ?? 0;
      await sleep(100);
    }
    expect(client.isCut).toBe(false);
    await isCutWithin(client);
    await app.close();
  });

  it('ends with a disconnect when all unread answers together exceed the limit; the slowest reader is first', async () => {
    const { app, port } = await startHost({ maxUnsentBytes: 48 * MB });
    const idle = open(port, LARGE);
    const others = [open(port, LARGE), open(port, LARGE)];
    const reader = open(port, LARGE);
    reader.socket.resume();
    await isCutWithin(idle);
    await until(() => reader.received > 32 * MB);
    expect(reader.isCut).toBe(false);
    for (const { socket } of [reader, ...others]) socket.destroy();
    await app.close();
  });

  it('does not delay a shutdown', async () => {
    const { app, port } = await startHost({});
    const client = open(port, LARGE);
    client.socket.resume();
    await until(() => client.received > 0);
    client.socket.pause();
    await app.close();
    client.socket.destroy();
  });
});

describe('with 50 clients that never read', () => {
  it('other clients are answered, and the memory for unread answers is limited', async () => {
    const maxUnsentBytes = 32 * MB;
    const { app, port } = await startHost({ maxUnsentBytes }, 8);
    const before = process.memoryUsage().arrayBuffers;
    const clients = Array.from({ length: 50 }, () => open(port, `/text?bytes=${16 * MB}`));
    let most = 0;
    let rounds = 0;
    do {
      expect(await statusOf(port, '/text?bytes=10')).toBe(200);
      collectGarbage(); // otherwise what was freed would count
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
      rounds++;
    } while (rounds < 10);
    // Without the limit 600 MB would be kept. Eight answers may be in work, each as text and as bytes.
    expect(most).toBeLessThanOrEqual(maxUnsentBytes + 2 * 8 * 16 * MB);
    for (const { socket } of clients) socket.destroy();
    await app.close();
  });
});

async function statusOf(port: number, path: string): Promise<number> {
  const req = http.get({ port, host: '127.0.0.1', path, agent: false });
  const [res] = (await once(req, 'response')) as [http.IncomingMessage];
  await once(res.resume(), 'end');
  return res.statusCode!;
}
