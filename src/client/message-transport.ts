import type { ClientProxy } from '@nestjs/microservices';
import { firstValueFrom, fromEvent, merge, switchMap, throwError } from 'rxjs';
import { errorOfProblem, ProjectsClientError } from './projects-client-error.js';
import type { Reply, Transport } from './transport.js';

interface Common {
  /** An API key, or a function that returns a valid token. It is called for each request. */
  token?: string | (() => string | Promise<string>);
}

export type MessageTransportOptions = Common &
  (
    | { transport: 'tcp'; host: string; port: number }
    /** Further options are passed to `connect` of @nats-io/transport-node. */
    | { transport: 'nats'; servers: string | string[]; [option: string]: unknown }
  );

/** Calls the service by messages. Needs the package `@nestjs/microservices`, and over NATS `@nats-io/transport-node`. */
export async function messageTransport(options: MessageTransportOptions): Promise<Transport> {
  const client = await createClient(options);
  return {
    call: async (operation, request, { meta, signal }) => {
      const { token } = options;
      const own = typeof token === 'function' ? await token() : token;
      const message = { ...request, meta: { ...(own !== undefined && { token: own }), ...meta } };
      const aborted = fromEvent(signal, 'abort').pipe(switchMap(() => throwError(() => ABORTED)));
      const reply = client.send<Reply>(`projects.${operation}`, message);
      return await firstValueFrom(merge(reply, aborted)).catch((error: unknown) => {
        throw failureOf(error);
      });
    },
    close: async () => void (await client.close()),
  };
}

const ABORTED = new Error('aborted');

async function createClient(options: MessageTransportOptions): Promise<ClientProxy> {
  const { ClientProxyFactory, Transport: Transports } = await import('@nestjs/microservices');
  if (options.transport === 'tcp') {
    const { host, port } = options;
    return ClientProxyFactory.create({ transport: Transports.TCP, options: { host, port } });
  }
  const { transport: _, token: __, ...nats } = options;
  return ClientProxyFactory.create({
    transport: Transports.NATS,
    options: { maxReconnectAttempts: -1, timeout: 2000, ...nats },
  });
}

const NO_HANDLER = 'There is no matching message handler defined in the remote service.';

/** Converts the rejection of a Nest client: the object that the service has thrown, or an error of the client. */
function failureOf(error: unknown): Error {
  if (error === ABORTED) return ABORTED;
  if (error === NO_HANDLER) {
    return new ProjectsClientError(
      'route_not_found',
      'The service that answers does not have this operation.',
    );
  }
  const { code, name, message, detail } = error as Record<string, unknown>;
  if (name === 'ProjectsClientError') return error as Error;
  if (typeof code === 'string' && typeof detail === 'string') return errorOfProblem(error);
  const isLost = message === 'Connection closed' || code === 'ECONNRESET' || code === 'EPIPE';
  if (isLost) {
    return new ProjectsClientError('connection_lost', 'The connection ended before the answer.', {
      cause: error,
    });
  }
  // Errors of another realm, such as those of Node in a vm, are not instances of this Error.
  if (typeof message === 'string' || typeof error === 'string') {
    return new ProjectsClientError('unreachable', 'No instance of the service can be reached.', {
      cause: error,
    });
  }
  return errorOfProblem(error);
}
