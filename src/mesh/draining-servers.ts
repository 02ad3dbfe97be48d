import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { ServerNats, ServerTCP } from '@nestjs/microservices';

const LONGEST_DRAIN_MS = 5000;
const STEP_MS = 10;

/** Counts the messages that are being answered. */
class InFlight {
  #count = 0;

  constructor(server: ServerTCP | ServerNats) {
    // The server awaits the work, though the type of the hook does not say so.
    const onStart = (_transport: unknown, _context: unknown, work: () => Promise<unknown>) => {
      this.#count++;
      return work();
    };
    server.setOnProcessingStartHook(onStart as never);
    server.setOnProcessingEndHook(() => this.#count--);
  }

  /** Resolves when every message is answered, or after five seconds. */
  async ended(): Promise<void> {
    const deadline = performance.now() + LONGEST_DRAIN_MS;
    while (this.#count > 0 && performance.now() < deadline) await sleep(STEP_MS);
    await setImmediate(); // an answer is sent after its message counts as processed
  }
}

/** Nest's own server resets all connections at the end; this one answers first what it has taken. */
export class DrainingTcpServer extends ServerTCP {
  readonly #inFlight = new InFlight(this);

  // eslint-disable-next-line @typescript-eslint/no-misused-promises -- Nest awaits it
  override async close(): Promise<void> {
    this.server.close();
    await this.#inFlight.ended();
    super.close();
  }
}

interface Subscription {
  unsubscribe(): void;
}
interface NatsClient {
  subscribe(...args: unknown[]): Subscription;
  flush(): Promise<void>;
}

/** The same for NATS: from the first moment of the shutdown messages go to other instances. */
export class DrainingNatsServer extends ServerNats {
  readonly #inFlight = new InFlight(this);
  readonly #subscriptions: Subscription[] = [];

  override bindEvents(client: NatsClient): void {
    const subscribe = (...args: unknown[]) => {
      const subscription = client.subscribe(...args);
      this.#subscriptions.push(subscription);
      return subscription;
    };
    super.bindEvents({ subscribe });
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
