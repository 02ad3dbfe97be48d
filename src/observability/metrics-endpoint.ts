import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Metrics } from './metrics.js';

/** Answers with the metrics. It needs no authentication, so keep it off the ingress (docs/operations.md). */
export function metricsEndpoint(metrics: Metrics) {
  return (_req: IncomingMessage, res: ServerResponse, next: (error: unknown) => void): void => {
    metrics.text().then((text) => {
      res.writeHead(200, { 'Content-Type': metrics.contentType, 'Cache-Control': 'no-store' });
      res.end(_req.method === 'HEAD' ? undefined : text);
    }, next);
  };
}

/** Serves /metrics on a separate port. Resolves with its address and a function that closes the server. */
export async function serveMetrics(
  metrics: Metrics,
  port: number,
  host: string,
): Promise<{ address: AddressInfo; close: () => void }> {
  const answer = metricsEndpoint(metrics);
  const server = createServer((req, res) => {
    const isRight = /^\/metrics(\?|$)/.test(req.url!) && /^(GET|HEAD)$/.test(req.method!);
    if (!isRight) return void res.writeHead(404).end();
    answer(req, res, () => res.writeHead(500).end());
  }).listen(port, host);
  await once(server, 'listening');
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { address: server.address() as AddressInfo, close };
}
