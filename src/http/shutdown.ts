import { type Server as HttpServer } from 'node:http';
import { Server as NetServer } from 'node:net';
import { setImmediate, setTimeout } from 'node:timers/promises';

/** How long new connections are still served, so that whoever routes requests here learns that it is not ready. */
const GRACE_MS = 500;
const SWEEP_MS = 50;

/**
 * Ends an HTTP server without failing a request: every answer from now on says `Connection: close`,
 * new connections are served for a moment more and then refused, connections with nothing under way
 * are closed, and it resolves when none is left. A client with a request on its way when its idle
 * connection is closed loses it, as HTTP/1.1 has it (RFC 9112 9.5); clients under load never do.
 */
export async function drain(server: HttpServer): Promise<void> {
  server.prependListener('request', (_req, res) => res.setHeader('Connection', 'close'));
  await setTimeout(GRACE_MS);
  // net's close: http's own would cut keep-alive connections whose next request has just been sent.
  const closed = new Promise<void>((resolve) =>
    NetServer.prototype.close.call(server, () => resolve()),
  );
  const sweeping = new AbortController();
  void closed.then(() => sweeping.abort());
  while (!sweeping.signal.aborted) {
    // What has arrived is read first: timers run before the poll phase, immediates after it.
    await setImmediate();
    server.closeIdleConnections();
    await setTimeout(SWEEP_MS, undefined, { signal: sweeping.signal }).catch(() => undefined);
  }
}

/** What happens between a signal and the end of the process. */
export interface Stopping {
  /** Longest time until the process is gone. */
  timeoutMs: number;
  /** Takes no more work and finishes what runs; then closes what was opened. */
  stop(): Promise<void>;
}

/**
 * On SIGTERM or SIGINT stops, and exits with 0, or with 1 when it has not stopped within the limit.
 * A second signal exits at once.
 */
export function stopOnSignals({ timeoutMs, stop }: Stopping): void {
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping) process.exit(signal === 'SIGINT' ? 130 : 143);
    stopping = true;
    globalThis.setTimeout(() => process.exit(1), timeoutMs).unref();
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
}
