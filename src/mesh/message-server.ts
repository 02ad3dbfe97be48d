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

/** Answers messages once the application is up. A broker that is away is waited for; HTTP does not wait. */
@Injectable()
export class MessageServer implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('Mesh');
  private readonly stopping = new AbortController();
  private server: Listening | undefined;
  private starting = Promise.resolve();

  /** To be called before the application is initialised. */
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
    let told: string | undefined;
    for (let pauseMs = 50; !signal.aborted; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        await server.listen();
        this.logger.log('answers messages');
        return;
      } catch (error) {
        const reason = (error as Error).message;
        if (reason !== told) this.logger.warn(`cannot answer messages yet: ${reason}`);
        told = reason;
        await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }
}

export interface MessageOptions {
  address: MeshAddress;
  /** The NATS queue group: one of its instances gets each message. */
  queue: string;
  /** The largest message over TCP, in bytes; over NATS the broker has a limit of its own. */
  maxBytes: number;
  /** Called for each message when it has been answered. */
  observers: readonly OnAnsweredMessage[];
}

/**
 * Lets the application answer messages beside HTTP. With `inheritAppConfig`, or global guards would
 * not be asked.
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
