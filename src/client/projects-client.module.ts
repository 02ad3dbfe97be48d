import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from '@nestjs/common';
import type { CallSettings } from './calls.js';
import { httpTransport, type HttpTransportOptions } from './http-transport.js';
import { messageTransport, type MessageTransportOptions } from './message-transport.js';
import { createProjectsClient, PROJECTS_CLIENT, type ProjectsClient } from './projects-client.js';
import type { Transport } from './transport.js';

export interface LocalOptions {
  /** The author of writes in the history, and the owner of Idempotency-Keys; default: none. */
  actor?: string;
  /** The name of the database in DatabaseModule; default: the default database. */
  database?: string;
}

/** The options of a client: exactly one transport. */
export type ProjectsClientOptions = CallSettings & {
  /** If true, other modules may inject the client without importing this one; default true. */
  isGlobal?: boolean;
} & (
    | { local: LocalOptions | true }
    | { http: HttpTransportOptions }
    | { messages: MessageTransportOptions }
  );

/**
 * Provides a ProjectsClient as `PROJECTS_CLIENT`: in this process, over HTTP or over messages. Only `local` loads
 * the service itself; it needs DatabaseModule in the application.
 */
@Module({})
export class ProjectsClientModule implements OnApplicationShutdown {
  constructor(@Inject(PROJECTS_CLIENT) private readonly client: ProjectsClient) {}

  static async register(options: ProjectsClientOptions): Promise<DynamicModule> {
    const { inject, connect } = await wayOf(options);
    return {
      module: ProjectsClientModule,
      global: options.isGlobal ?? true,
      providers: [
        {
          provide: PROJECTS_CLIENT,
          inject,
          useFactory: async (...dependencies: unknown[]) =>
            createProjectsClient(await connect(...dependencies), options),
        },
      ],
      exports: [PROJECTS_CLIENT],
    };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.client.close();
  }
}

interface Way {
  inject: symbol[];
  connect: (...dependencies: unknown[]) => Transport | Promise<Transport>;
}

async function wayOf(options: ProjectsClientOptions): Promise<Way> {
  if ('http' in options) return { inject: [], connect: () => httpTransport(options.http) };
  if ('messages' in options) {
    return { inject: [], connect: () => messageTransport(options.messages) };
  }
  const { localConnection } = await import('./local-connection.js');
  return localConnection(options.local === true ? {} : options.local);
}
