// A consumer: an application without HTTP that receives every change after its commit.
import 'reflect-metadata';
import { setTimeout as sleep } from 'node:timers/promises';
import { Injectable, Module, type OnApplicationShutdown } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import type { Change } from 'projects-service/client';

const STREAM = 'PROJECTS_CHANGES';

@Injectable()
class Reports implements OnApplicationShutdown {
  private nats: NatsConnection | undefined;

  async follow(servers: string): Promise<void> {
    this.nats = await connect({ servers, maxReconnectAttempts: -1, waitOnFirstConnect: true });
    const { streams, consumers } = await jetstreamManager(this.nats);
    // The relay of the service creates the stream.
    while (!(await streams.info(STREAM).catch(() => undefined))) await sleep(100);
    await consumers.add(STREAM, { durable_name: 'reports', ack_policy: AckPolicy.Explicit });
    const reports = await jetstream(this.nats).consumers.get(STREAM, 'reports');
    console.log('consumer: waits for events');
    for await (const message of await reports.consume()) {
      const { action, after, before } = message.json<Change>();
      console.log(`consumer: ${action} ${(after ?? before)?.name}`);
      message.ack(); // a message that is not acknowledged is delivered again
    }
  }

  async onApplicationShutdown(): Promise<void> {
    await this.nats?.drain();
  }
}

@Module({ providers: [Reports] })
class ConsumerModule {}

const app = await NestFactory.createApplicationContext(ConsumerModule, { logger: ['error'] });
app.enableShutdownHooks();
await app.get(Reports).follow(process.env.NATS_URL!);
