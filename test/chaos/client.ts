import { randomUUID } from 'node:crypto';
import http from 'node:http';
import { sleep } from '../support/connections.js';

/** The maximum wait for one answer. */
const ANSWER_MS = 15_000;
const TOKEN = 'x-consistency-token';

export interface Written {
  id: string;
  name: string;
  version: number;
}

/** The counts of what the clients have observed. */
export interface Traffic {
  stopped: boolean;
  requests: number;
  /** Requests without an answer, or with a failure of the service itself. */
  failed: number;
  replays: number;
  reads: number;
  stale: string[];
  /** The longest time without an acknowledged write, in milliseconds. */
  longestGapMs: number;
  lastWriteAt: number;
}

export function newTraffic(): Traffic {
  const counts = { requests: 0, failed: 0, replays: 0, reads: 0, longestGapMs: 0 };
  return { stopped: false, ...counts, stale: [], lastWriteAt: performance.now() };
}

/**
 * Creates projects, writes them again and reads each write with its token. A write is repeated with the same key
 * until it is acknowledged.
 */
export async function work(base: string, writer: number, traffic: Traffic): Promise<Written[]> {
  const acknowledged: Written[] = [];
  while (!traffic.stopped) {
    const name = `writer ${writer} ${randomUUID()}`;
    const project = { name, description: '', technologies: ['SQL'] };
    const created = await write(base, project, traffic);
    const { id } = created.data as { id: string };
    const written = { id, name, version: 1 };
    acknowledged.push(written);
    await read(`${base}/${id}`, created.token, 1, traffic);
    for (let left = Math.floor(Math.random() * 4); left > 0 && !traffic.stopped; left--) {
      const replaced = { ...project, description: `write ${written.version + 1}` };
      const operations = [{ op: 'replace', id, project: replaced }];
      const { token } = await write(`${base}/batch`, { operations }, traffic);
      written.version++;
      await read(`${base}/${id}`, token, written.version, traffic);
    }
  }
  return acknowledged;
}

async function write(url: string, body: object, traffic: Traffic): Promise<Answer> {
  const headers = { 'Idempotency-Key': randomUUID() };
  const answer = await untilAnswered(traffic, () => send(url, { headers, body }));
  if (answer.replayed) traffic.replays++;
  const now = performance.now();
  traffic.longestGapMs = Math.max(traffic.longestGapMs, now - traffic.lastWriteAt);
  traffic.lastWriteAt = now;
  return answer;
}

async function read(url: string, token: string, version: number, traffic: Traffic): Promise<void> {
  const headers = token ? { [TOKEN]: token } : {};
  const { data } = await untilAnswered(traffic, () => send(url, { headers }));
  traffic.reads++;
  const found = (data as Partial<Written>).version;
  if (found !== version) traffic.stale.push(`version ${found} of ${version} in ${url}`);
}

/** Repeats a request after 503, 409 or no answer. Any other refusal is a fault. */
async function untilAnswered(traffic: Traffic, attempt: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    traffic.requests++;
    const answer = await attempt().catch(() => undefined);
    if (answer && answer.status < 300) return answer;
    const mayPass = !answer || answer.status >= 500 || answer.status === 409;
    if (!mayPass) throw new Error(`A request was refused: ${answer.status} ${answer.text}`);
    traffic.failed++;
    await sleep(20 + Math.random() * 100);
  }
}

export interface Answer {
  status: number;
  text: string;
  data: unknown;
  token: string;
  replayed: boolean;
}

/** Sends each request on a new connection, so that the balancer distributes them. */
export function send(url: string, options: { headers: object; body?: object }): Promise<Answer> {
  const body = options.body && JSON.stringify(options.body);
  const method = body === undefined ? 'GET' : 'POST';
  const headers = {
    ...options.headers,
    ...(body && {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(body),
    }),
  };
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const request = http.request(url, { method, headers, agent: false, signal }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const answer = { status: response.statusCode!, text, data: dataIn(text) };
        const token = String(response.headers[TOKEN] ?? '');
        resolve({ ...answer, token, replayed: 'idempotency-replayed' in response.headers });
      });
    });
    request.on('error', reject).end(body);
  });
}

function dataIn(text: string): unknown {
  try {
    return (JSON.parse(text) as { data?: unknown }).data;
  } catch {
    return undefined;
  }
}
