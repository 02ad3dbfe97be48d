import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import { headers as natsHeaders, type NatsConnection } from '@nats-io/transport-node';
import { DiscardPolicy, jetstream, jetstreamManager, StorageType } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Logger } from '@nestjs/common';
import type { MeshAddress } from '../config/mesh-url.js';
import type { CloudEvent } from './cloud-event.js';
import { natsOptions } from './nats-options.js';

/** The end of the stream, which the next message must follow. */
export interface StreamEnd {
  /** The Nats-Msg-Id of the last message; undefined if the stream is empty. */
  id: string | undefined;
  sequence: number;
}

const ACK_TIMEOUT_MS = 5000;
/** Error codes of JetStream. */
const STREAM_NOT_FOUND = 10059;
const MESSAGE_NOT_FOUND = 10037;

/**
 * A JetStream stream that only the relay writes to. Each message contains the sequence of its predecessor, so that the
 * broker refuses messages that are out of order, even very late ones.
 */
export class EventStream {
  readonly #logger = new Logger('Relay');
  readonly #connection: NatsConnection;
  readonly #manager: JetStreamManager;
  readonly #client: JetStreamClient;

  private constructor(
    connection: NatsConnection,
    manager: JetStreamManager,
    private readonly name: string,
  ) {
    this.#connection = connection;
    this.#manager = manager;
    this.#client = jetstream(connection);
  }

  /** Connects, and creates the stream if it does not exist. An existing stream is not changed. */
  static async open(
    address: Extract<MeshAddress, { transport: 'nats' }>,
    path: string,
  ): Promise<EventStream> {
    const connection = await connect({ ...natsOptions(address, 'relay'), reconnect: false });
    try {
      const manager = await jetstreamManager(connection, { timeout: ACK_TIMEOUT_MS });
      const name = `${path.toUpperCase()}_CHANGES`;
      await ensureStream(manager, name, `${path}.changes.>`);
      return new EventStream(connection, manager, name);
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  get isClosed(): boolean {
    return this.#connection.isClosed();
  }

  async end(): Promise<StreamEnd> {
    const { state } = await this.#manager.streams.info(this.name);
    const { last_seq: sequence, messages } = state;
    if (messages === 0) return { id: undefined, sequence };
    const last = await this.#manager.streams
      .getMessage(this.name, { seq: sequence })
      .catch((error: unknown) => {
        if (codeOf(error) === MESSAGE_NOT_FOUND) return null;
        throw error;
      });
    return { id: last?.header.get('Nats-Msg-Id'), sequence };
  }

  /**
   * Publishes the events without waiting between them: the first one after `end`, each other one after its predecessor.
   * Resolves with the new end. If an event is refused, all later ones are refused too.
   */
  async publish(events: CloudEvent[], end: StreamEnd): Promise<StreamEnd> {
    let last = end;
    const acks = events.map((event) => {
      const expect =
        last.id === undefined ? { lastSequence: last.sequence } : { lastMsgID: last.id };
      last = { id: event.id, sequence: 0 };
      return this.#client.publish(event.subject, this.#payload(event), {
        msgID: event.id,
        expect: { streamName: this.name, ...expect },
        headers: headersOf(event),
        timeout: ACK_TIMEOUT_MS,
      });
    });
    const settled = await Promise.allSettled(acks);
    for (const ack of settled) if (ack.status === 'rejected') throw ack.reason;
    return last;
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  /** Serializes an event, without `before` and `after` if it would be too large for the broker. */
  #payload(event: CloudEvent): string {
    const payload = JSON.stringify(event.data);
    const most = (this.#connection.info?.max_payload ?? Infinity) - HEADERS_BYTES;
    if (Buffer.byteLength(payload) <= most) return payload;
    this.#logger.error(
      `the event ${event.id} is larger than max_payload of the broker, so it is published without before and after`,
    );
    event.headers['ce-truncated'] = 'true';
    return JSON.stringify({ ...event.data, before: null, after: null });
  }
}

/** This is more than the size of the headers of an event. */
const HEADERS_BYTES = 4096;

function headersOf({ headers }: CloudEvent) {
  const made = natsHeaders();
  for (const [name, value] of Object.entries(headers)) made.set(name, value);
  return made;
}

async function ensureStream(
  manager: JetStreamManager,
  name: string,
  subjects: string,
): Promise<void> {
  try {
    await manager.streams.info(name);
  } catch (error) {
    if (codeOf(error) !== STREAM_NOT_FOUND) throw error;
    await manager.streams.add({
      name,
      subjects: [subjects],
      storage: StorageType.File,
      discard: DiscardPolicy.Old,
    });
  }
}

function codeOf(error: unknown): number | undefined {
  return (error as { code?: number }).code;
}
