import { setTimeout as sleep } from 'node:timers/promises';
import {
  type INestApplication,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import type { MeshAddress } from '../config/mesh-url.js';
import type { OnAnsweredMessage } from '../http/messages/message-request.js';
import { natsOptions } from './nats-options.js';
import { optionalPackage } from '../process/optional-package.js';

const LONGEST_PAUSE_MS = 1000;

interface Listening {
  listen(): Promise<unknown>;
  close(): Promise<void>;
}

/** Answers messages after the application has started. It waits for an unavailable broker; HTTP does not wait. */
@Injectable()
export class MessageServer implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Mesh');
  private readonly stopping = new AbortController();
  private server: Listening | undefined;
  private starting = Promise.resolve();

  /** Call it before the application is initialised. */
  attach(server: Listening): void {
    this.server = server;
  }

  onApplicationBootstrap(): void {
    if (this.server) this.starting = this.start(this.server);
  }

  async onModuleDestroy(): Promise<void> {
    this.stopping.abort();
    await this.starting;
  }

  private async start(server: Listening): Promise<void> {
    const { signal } = this.stopping;
    let reported: string | undefined;
    for (let pauseMs = 50; !signal.aborted; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        await server.listen();
        this.logger.log('answers messages');
        return;
      } catch (error) {
        const reason = (error as Error).message;
        if (reason !== reported) this.logger.warn(`cannot answer messages yet: ${reason}`);
        reported = reason;
        await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }
}

export interface MessageOptions {
  address: MeshAddress;
  /** The NATS queue group: each message goes to one of its instances. */
  queue: string;
  /** The maximum size of a message over TCP; over NATS the broker has its own limit. */
  maxBytes: number;
  /** Called for each message when it has been answered. */
  observers: readonly OnAnsweredMessage[];
}

/**
 * Lets the application answer messages in addition to HTTP. It uses `inheritAppConfig`, otherwise Nest would not run
 * global guards.
 */
export async function attachMessages(
  app: INestApplication,
  options: MessageOptions,
): Promise<void> {
  const { DrainingNatsServer, DrainingTcpServer } = await optionalPackage(
    '@nestjs/microservices',
    () => import('./draining-servers.js'),
    'MESH_TRANSPORT',
  );
  const { address, queue, maxBytes, observers } = options;
  const onAnswered: OnAnsweredMessage = (answered) => {
    for (const observe of observers) observe(answered);
  };
  if (address.transport === 'nats') {
    const load = () => import('@nats-io/transport-node');
    await optionalPackage('@nats-io/transport-node', load, 'MESH_TRANSPORT=nats');
  }
  const strategy =
    address.transport === 'nats'
      ? new DrainingNatsServer({ ...natsOptions(address, queue), queue }, onAnswered)
      : new DrainingTcpServer({ ...address, maxBufferSize: maxBytes }, onAnswered);
  const server = app.connectMicroservice({ strategy }, { inheritAppConfig: true });
  app.get(MessageServer).attach(server);
}
