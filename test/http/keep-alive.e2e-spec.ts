import { once } from 'node:events';
import type http from 'node:http';
import net from 'node:net';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import express from 'express';
import { LeanExpressAdapter } from '../../src/index.js';

const REQUEST = 'GET /hello HTTP/1.1\r\nHost: test\r\n\r\n';
const GATEWAY_MS = 300;

@Controller()
class Hello {
  @Get('hello')
  hello() {
    return { hello: true };
  }
}

@Module({ controllers: [Hello] })
class HostModule {}

/** Opens a connection to a host application with the exported adapter, and sends one request. */
async function start(keepAliveTimeoutMs: number) {
  const adapter = new LeanExpressAdapter(express(), { keepAliveTimeoutMs });
  const app = await NestFactory.create(HostModule, adapter, { logger: false });
  await app.listen(0, '127.0.0.1');
  const { port } = (app.getHttpServer() as net.Server).address() as net.AddressInfo;
  const socket = net.connect(port, '127.0.0.1');
  const errors: Error[] = [];
  socket.on('error', (error) => errors.push(error));
  socket.write(REQUEST);
  await once(socket, 'data');
  return { app, socket, errors };
}

it('an idle connection stays open longer than the idle timeout of a gateway', async () => {
  const { app, socket, errors } = await start(5 * GATEWAY_MS);
  await new Promise((resolve) => setTimeout(resolve, GATEWAY_MS));
  socket.write(REQUEST);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect([String(answer).split('\r\n')[0], errors]).toEqual(['HTTP/1.1 200 OK', []]);
  socket.destroy();
  await app.close();
});

it('an idle connection is closed at its limit', async () => {
  const { app, socket, errors } = await start(50);
  await once(socket.resume(), 'close');
  expect(errors).toEqual([]);
  await app.close();
});

it('a request that arrives before the limit is answered, even if the process reads it later', async () => {
  const { app, socket, errors } = await start(100);
  socket.write(REQUEST);
  // The process is busy until long after the limit, to which Node 24 adds a second.
  const began = performance.now();
  while (performance.now() - began < 1500);
  const [answer] = (await once(socket, 'data')) as [Buffer];
  expect([String(answer).split('\r\n')[0], errors]).toEqual(['HTTP/1.1 200 OK', []]);
  socket.destroy();
  await app.close();
});

it('the default keep-alive time is longer than the usual minute of gateways, and headers may take longer', async () => {
  const app = await NestFactory.create(HostModule, new LeanExpressAdapter(), { logger: false });
  const { keepAliveTimeout, headersTimeout, requestTimeout } = app.getHttpServer() as http.Server;
  expect({ keepAliveTimeout, headersTimeout, requestTimeout }).toEqual({
    keepAliveTimeout: 65_000,
    headersTimeout: 66_000,
    requestTimeout: 300_000,
  });
  await app.close();
});
