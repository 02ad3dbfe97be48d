import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import https from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import express from 'express';
import { LeanExpressAdapter, type LeanExpressAdapterOptions } from '../../src/index.js';
import { sleep, until } from '../support/connections.js';
import { withProgram } from '../support/needs.js';

const openssl = withProgram('openssl');
const LARGE = 'x'.repeat(32 * 1024 * 1024);

let began = false;

@Controller()
class Answers {
  @Get('slow')
  async slow() {
    began = true;
    await sleep(500);
    return { slow: true };
  }

  @Get('large')
  large() {
    return { text: LARGE };
  }
}

@Module({ controllers: [Answers] })
class HostModule {}

async function certificate() {
  const directory = await mkdtemp(path.join(tmpdir(), 'https-host-'));
  const [key, cert] = ['key', 'crt'].map((end) => path.join(directory, `server.${end}`));
  const request = 'req -x509 -nodes -newkey rsa:2048 -subj /CN=localhost -days 1'.split(' ');
  await promisify(execFile)(openssl.file, [...request, '-keyout', key!, '-out', cert!]);
  const httpsOptions = { key: await readFile(key!), cert: await readFile(cert!) };
  await rm(directory, { recursive: true });
  return httpsOptions;
}

async function startHost(options: LeanExpressAdapterOptions = {}) {
  const app = await NestFactory.create(HostModule, new LeanExpressAdapter(express(), options), {
    logger: false,
    httpsOptions: await certificate(),
  });
  await app.listen(0, '127.0.0.1');
  return { app, port: (app.getHttpServer().address() as AddressInfo).port };
}

openssl.describe('a host over HTTPS', () => {
  openssl.it('answers running requests when it shuts down', async () => {
    const { app, port } = await startHost();
    const status = new Promise((resolve, reject) => {
      https
        .get({ port, path: '/slow', rejectUnauthorized: false }, (res) => {
          res.resume().on('end', () => resolve(res.statusCode));
        })
        .on('error', reject);
    });
    const outcome = status.catch((error: Error) => error.message);
    await until(() => began);
    await app.close();
    expect(await outcome).toBe(200);
  });

  openssl.it('disconnects a client that does not read its answer', async () => {
    const { app, port } = await startHost({ sendTimeoutMs: 300 });
    const client = tls.connect({ port, rejectUnauthorized: false }).pause();
    let isCut = false;
    client.on('error', () => (isCut = true)).on('close', () => (isCut = true));
    client.write('GET /large HTTP/1.1\r\nHost: test\r\n\r\n');
    await until(() => {
      if (!isCut) client.write('\r\n');
      return isCut;
    }, 30_000);
    await app.close();
  });

  openssl.it('does not wait for a client that does not finish its handshake', async () => {
    const { app, port } = await startHost();
    const client = tls.connect({ port, rejectUnauthorized: false });
    await new Promise((resolve) => client.once('secureConnect', resolve));
    const silent = connect(port, '127.0.0.1').on('error', () => {});
    await new Promise((resolve) => silent.once('connect', resolve));
    await app.close();
    client.destroy();
    silent.destroy();
  });
});
