import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { type NatsOptions, ServerNats, ServerTCP, type TcpOptions } from '@nestjs/microservices';
import {
  answeredMessage,
  type MessageContext,
  messageRequestId,
  type OnAnsweredMessage,
} from '../http/messages/message-request.js';
import { Problem, problemBody } from '../http/problems/problem.js';
import { listenFailure } from '../process/listen-failure.js';

/*
 * Everything that this service uses inside @nestjs/microservices@12.1.1 and that its documentation does not
 * promise. No other file uses it (test/repository/dependencies.spec.ts).
 *
 * 1. A server awaits the work that it passes to the hook for the start of a message.
 * 2. `server` of ServerTCP is its listening socket, `handleError` logs its errors, and `close` resets the connections.
 * 3. `bindEvents` of ServerNats subscribes to every pattern with the client that it is given.
 * 4. `unwrap` throws before the connection is open.
 * 5. `getPublisher` of ServerNats returns the function that sends the answer to a message. Nest only logs what it throws.
 */

const LONGEST_DRAIN_MS = 5000;
const STEP_MS = 10;
const MESH_URL = { host: 'MESH_URL', port: 'MESH_URL' };

type Context = MessageContext & { getPattern?(): string; getSubject?(): string };

/** Counts the messages that are being answered, and notifies observers of each answer. */
class InFlight {
  #count = 0;
  readonly #startedAt = new WeakMap<object, number>();

  constructor(
    server: ServerTCP | ServerNats,
    private readonly onAnswered: OnAnsweredMessage,
  ) {
    // The type of the hook does not show that its result is awaited.
    const onStart = (_transport: unknown, context: object, work: () => Promise<unknown>) => {
      this.#count++;
      this.#startedAt.set(context, performance.now());
      return work();
    };
    server.setOnProcessingStartHook(onStart as never);
    server.setOnProcessingEndHook((_transport, context) => this.#end(context as Context));
  }

  #end(context: Context): void {
    this.#count--;
    const pattern = context.getPattern?.() ?? context.getSubject?.() ?? 'none';
    const ms = performance.now() - this.#startedAt.get(context)!;
    this.onAnswered(answeredMessage(context, pattern, ms));
  }

  /** Resolves when every message is answered, or after five seconds. */
  async ended(): Promise<void> {
    const deadline = performance.now() + LONGEST_DRAIN_MS;
    while (this.#count > 0 && performance.now() < deadline) await sleep(STEP_MS);
    await setImmediate(); // an answer is sent after its message counts as processed
  }
}

/** A TCP server that answers the received messages before it closes. Nest's own server resets all connections. */
export class DrainingTcpServer extends ServerTCP {
  readonly #inFlight: InFlight;

  constructor(options: NonNullable<TcpOptions['options']>, onAnswered: OnAnsweredMessage) {
    super(options);
    this.#inFlight = new InFlight(this, onAnswered);
  }

  /** Calls back for every error. Nest's own server does so only if the port is in use, and otherwise never ends. */
  override listen(callback: (error?: unknown) => void): void {
    const server = this.server;
    const end = (error?: unknown) => {
      server.off('error', end).off('listening', end);
      callback(error && new Error(listenFailure(error, MESH_URL), { cause: error }));
    };
    server.once('error', end).once('listening', end).listen(this.port, this.host);
  }

  /** Leaves an error of `listen` to its caller, who tries again and logs it once. */
  protected override handleError(error: string): void {
    if (this.server.listening) super.handleError(error);
  }

  // eslint-disable-next-line @typescript-eslint/no-misused-promises -- Nest awaits it
  override async close(): Promise<void> {
    this.server.close();
    await this.#inFlight.ended();
    super.close();
  }
}

const TOO_LARGE = new Problem(
  'payload_too_large',
  'The answer is larger than a message may be (max_payload of the broker). Read fewer entries with `limit`, or use HTTP. A write has been executed.',
);

interface Subscription {
  unsubscribe(): void;
}
interface NatsClient {
  subscribe(...args: unknown[]): Subscription;
  flush(): Promise<void>;
}

/** A NATS server that answers the received messages before it closes; from the start of the shutdown new messages go to other instances. */
export class DrainingNatsServer extends ServerNats {
  readonly #inFlight: InFlight;
  readonly #subscriptions: Subscription[] = [];

  constructor(options: NonNullable<NatsOptions['options']>, onAnswered: OnAnsweredMessage) {
    super(options);
    this.#inFlight = new InFlight(this, onAnswered);
  }

  override bindEvents(client: NatsClient): void {
    const subscribe = (...args: unknown[]) => {
      const subscription = client.subscribe(...args);
      this.#subscriptions.push(subscription);
      return subscription;
    };
    super.bindEvents({ subscribe });
  }

  /** Answers with a problem if the answer is too large for the broker: otherwise its sender would wait in vain. */
  override getPublisher(...args: Parameters<ServerNats['getPublisher']>) {
    const publish = super.getPublisher(...args) as (answer: object) => unknown;
    const context = args[2] as MessageContext;
    return (answer: object) => {
      try {
        return publish(answer);
      } catch (error) {
        if (!/max_payload/.test((error as Error).message)) throw error;
        const err = problemBody(TOO_LARGE, '', messageRequestId(context, undefined));
        return publish({ err, isDisposed: true });
      }
    };
  }

  override async close(): Promise<void> {
    for (const subscription of this.#subscriptions.splice(0)) subscription.unsubscribe();
    await this.#inFlight.ended();
    if (this.#isConnected())
      await this.unwrap<NatsClient>()
        .flush()
        .catch(() => undefined);
    await super.close();
  }

  #isConnected(): boolean {
    try {
      this.unwrap();
      return true;
    } catch {
      return false;
    }
  }
}
