import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { gzipSync } from 'node:zlib';
import { sleep } from '../support/connections.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { killServices, type ServiceProcess, startProcess } from '../support/process.js';
import { CSV, IMPORT, NDJSON } from '../support/transfer.js';

/** The longest processor time of the service during another request. */
const LIMIT_MS = 100;
/** The quietest round counts, because other work of the process, such as the garbage collector's, can only make a round longer. */
const ROUNDS = 4;
const MB = 1024 * 1024;
const LIST = '/api/projects';
const ITEM = `${LIST}/0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10`;
const HEADER = 'name,description,technologies\n';

interface Attack {
  method: string;
  path: string;
  headers: Record<string, string>;
  body?: string | Buffer;
}

const json = (body: string, path = LIST, method = 'POST'): Attack => ({
  method,
  path,
  headers: { 'Content-Type': 'application/json' },
  body,
});
const file = (type: string, body: string): Attack => ({
  method: 'POST',
  path: IMPORT,
  headers: { 'Content-Type': type, 'Content-Encoding': 'gzip' },
  body: gzipSync(body),
});
const get = (path: string, headers: Record<string, string> = {}): Attack => ({
  method: 'GET',
  path,
  headers,
});
const listOf = (item: string, bytes = MB - 500) => {
  const items = new Array(Math.floor(bytes / (item.length + 1))).fill(item);
  return `[${items.join()}]`;
};
const fieldsOf = (count: number) => Array.from({ length: count }, (_, i) => `"k${i}":1`).join();
const project = (fields: object) => {
  const given = { name: '"a"', description: '"b"', technologies: '["c"]', ...fields };
  return `{${Object.entries(given)
    .map(([name, text]) => `"${name}":${text}`)
    .join()}}`;
};
/** Marks of two kinds alternate, so that each must be sorted. */
const MARKS = '\u0301\u0323'.repeat(MB / 4 - 500);
const deep = `${'['.repeat(MB / 2 - 500)}${']'.repeat(MB / 2 - 500)}`;
const hundred = JSON.stringify(Array.from({ length: 100 }, (_, i) => String(i)));
const batch = (operation: string, count = 1) =>
  json(`{"operations":[${new Array(count).fill(operation).join()}]}`, `${LIST}/batch`);

const GOOD = file(NDJSON, `${project({})}\n`.repeat(5000));

const ATTACKS: Record<string, Attack> = {
  'a field that is a list of lists': json(project({ name: listOf('[]') })),
  'a field that is a list of objects': json(project({ name: listOf('{}') })),
  'a list of half a million numbers': json(project({ technologies: listOf('1') })),
  'an unknown field of lists': json(project({ x: listOf('[]') })),
  'a body of 80,000 fields': json(`{${fieldsOf(80_000)}}`),
  'a field of 80,000 fields': json(project({ name: `{${fieldsOf(80_000)}}` })),
  'a body half a million levels deep': json(project({ name: deep })),
  'a replacement with a list of objects': json(project({ name: listOf('{}') }), ITEM, 'PUT'),
  'a patch with a list of objects': json(`{"technologies":${listOf('{}')}}`, ITEM, 'PATCH'),
  'a megabyte of combining marks': json(project({ description: `"${MARKS}"` })),
  'a patch with a technology of combining marks': json(
    `{"technologies":["${MARKS}"]}`,
    ITEM,
    'PATCH',
  ),
  'a row of combining marks': file(NDJSON, `${project({ description: `"${MARKS}"` })}\n`),
  'cells of combining marks': file(
    CSV,
    `${HEADER}${`a,${MARKS.slice(0, 20_000)},[]\n`.repeat(30)}`,
  ),
  'a batch of empty objects': json(`{"operations":${listOf('{}')}}`, `${LIST}/batch`),
  'a batch of 1,000 wrong operations': batch(`{"op":"create","project":{"a":1,"b":2}}`, 1000),
  'a batch whose ifMatch is an object': batch(`{"op":"delete","ifMatch":${listOf('{}')}}`),
  'a batch with an ifMatch of a megabyte': batch(
    `{"op":"delete","ifMatch":"${'\\"'.repeat(MB / 2 - 500)}"}`,
  ),
  'a batch that is wrong at its end': json(
    `{"operations":[${`{"op":"create","project":${project({ technologies: hundred })}},`.repeat(999)}7]}`,
    `${LIST}/batch`,
  ),
  'a row of 80,000 unknown fields': file(NDJSON, `{${fieldsOf(80_000)}}\n`),
  'a row of lists': file(NDJSON, `${project({ name: listOf('[]') })}\n`),
  'a row of objects': file(NDJSON, `${project({ x: listOf('{}') })}\n`),
  'rows that are empty objects': file(NDJSON, '{}\n'.repeat(60_000)),
  'rows that are no JSON': file(NDJSON, '{\n'.repeat(20_000)),
  'rows with a character that cannot be stored': file(
    NDJSON,
    `${project({ name: '"\\u0000"' })}\n`.repeat(20_000),
  ),
  'rows of many unknown fields': file(NDJSON, `{${fieldsOf(60)}}\n`.repeat(2000)),
  'ten million empty lines': file(NDJSON, '\n'.repeat(10_000_000)),
  'a header of many unknown and repeated columns': file(
    CSV,
    `${'x,'.repeat(60_000)}${'name,'.repeat(30_000)}z\n`,
  ),
  'rows with wrong quotes': file(CSV, `${HEADER}${'"a"b,c,[]\n'.repeat(60_000)}`),
  'every second row with wrong quotes': file(
    CSV,
    `${HEADER}${'"a"b,c,[]\na,b,[]\n'.repeat(30_000)}`,
  ),
  'a row of a million cells': file(CSV, `${HEADER}${','.repeat(MB - 1)}\n`.repeat(3)),
  'rows of one cell': file(CSV, `${HEADER}${'a\n'.repeat(200_000)}`),
  'rows without content': file(CSV, `${HEADER}${',,\n'.repeat(60_000)}`),
  'cells of many objects': file(CSV, `${HEADER}${`a,b,"${listOf('{}')}"\n`.repeat(3)}`),
  'cells that are no JSON': file(CSV, `${HEADER}${'a,b,[\n'.repeat(20_000)}`),
  'a cell of five million lines': file(CSV, `${HEADER}"${'\n'.repeat(5_000_000)}`),
  'a thousand parameters': get(
    `${LIST}?${Array.from({ length: 1500 }, (_, i) => `p${i}=1`).join('&')}`,
  ),
  'a parameter a thousand times': get(`${LIST}?${'technology=a&'.repeat(1100)}`),
  'a search of minus signs': get(`${LIST}?q=${'-'.repeat(15_000)}`),
  'a cursor of 15,000 characters': get(`${LIST}?after=${'a.'.repeat(7500)}`),
  'thousands of entity tags': get(ITEM, { 'If-None-Match': '"1",'.repeat(3700) }),
  'thousands of media types': get(ITEM, { Accept: 'a/b,'.repeat(3700) }),
  'an open quote in Accept': get(ITEM, { Accept: `"${','.repeat(15_000)}` }),
};

let database: TestDatabase;
let service: ServiceProcess;
let port: number;
let goodMs: number;
beforeAll(async () => {
  database = await createTestDatabase();
  service = await startProcess({ DATABASE_URL: database.url });
  port = Number(new URL(await service.url).port);
  await sleep(1000);
  await waitDuring(() => send(GOOD));
  goodMs = await waitDuring(() => send(GOOD));
});
afterAll(async () => {
  await killServices();
  await database.drop();
});

/**
 * Returns the processor time that the service has used so far on the thread that answers requests: the time that a
 * request waits for it, without that in which other processes have the processor. Elsewhere than on Linux it is the time
 * on the clock.
 */
function serviceMs(): number {
  const file = `/proc/${service.pid}/task/${service.pid}/schedstat`;
  const used = existsSync(file) ? Number(readFileSync(file, 'utf8').split(' ')[0]) / 1e6 : 0;
  return used || performance.now();
}

/** Returns the longest wait of a request during the work, in the quietest of a few rounds. */
async function waitDuring(work: () => Promise<unknown>, enoughMs = 0): Promise<number> {
  let best = Infinity;
  for (let round = 0; round < ROUNDS && best > enoughMs; round++) {
    const probe = startProbe();
    await sleep(20);
    await work();
    best = Math.min(best, await probe.longestMs());
  }
  return best;
}

function startProbe() {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  let longest = 0;
  let isOver = false;
  const probing = (async () => {
    while (!isOver) {
      const began = serviceMs();
      const req = http.get({ port, host: '127.0.0.1', path: '/health/live', agent });
      const [res] = (await once(req, 'response')) as [http.IncomingMessage];
      await once(res.resume(), 'end');
      longest = Math.max(longest, serviceMs() - began);
      await sleep(2);
    }
    agent.destroy();
  })();
  return {
    async longestMs() {
      isOver = true;
      await probing;
      return longest;
    },
  };
}

async function send({ method, path, headers, body }: Attack): Promise<number> {
  const req = http.request({ port, host: '127.0.0.1', method, path, headers, agent: false });
  req.end(body);
  const [res] = (await once(req, 'response')) as [http.IncomingMessage];
  await once(res.resume(), 'end');
  return res.statusCode!;
}

describe('no other request waits for', () => {
  it.each(Object.entries(ATTACKS))('%s', async (_name, attack) => {
    const limitMs = Math.max(LIMIT_MS, 2 * goodMs);
    const statuses = new Set<number>();
    const waitMs = await waitDuring(async () => statuses.add(await send(attack)), limitMs);
    expect(waitMs).toBeLessThan(limitMs);
    expect([...statuses].filter((status) => status >= 500)).toEqual([]);
  });

  it('hundreds of pipelined requests', async () => {
    const limitMs = Math.max(LIMIT_MS, 2 * goodMs);
    const requests = 'GET /docs/openapi.json HTTP/1.1\r\nHost: test\r\n\r\n'.repeat(300);
    const waitMs = await waitDuring(async () => {
      const socket = net.connect(port, '127.0.0.1').setEncoding('latin1');
      const begin = 'HTTP/1.1 200';
      let answers = 0;
      let end = ''; // a part may end within the beginning of an answer
      socket.on('data', (part: string) => {
        answers += (end + part).split(begin).length - 1;
        end = (end + part).slice(1 - begin.length);
      });
      socket.write(requests);
      while (answers < 300) await sleep(5);
      socket.destroy();
    }, limitMs);
    expect(waitMs).toBeLessThan(limitMs);
  });

  it('a file that arrives byte by byte, longer than for such a body', async () => {
    const bodyMs = await byteByByte(
      LIST,
      'application/json',
      project({ x: `"${'x'.repeat(50_000)}"` }),
    );
    const limitMs = Math.max(LIMIT_MS, 3 * bodyMs);
    for (const [type, text] of [
      [NDJSON, `${project({})}\n`.repeat(2000)],
      [CSV, `${HEADER}${'a,b,[]\n'.repeat(10_000)}`],
    ] as const) {
      expect(await byteByByte(IMPORT, type, text, limitMs)).toBeLessThan(limitMs);
    }
  });
});

/** Returns the wait of others while a body arrives in chunks of one byte, of which Node parses many at once. */
async function byteByByte(path: string, type: string, text: string, enoughMs = 0): Promise<number> {
  const head = `POST ${path} HTTP/1.1\r\nHost: test\r\nContent-Type: ${type}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n`;
  const chunks = Array.from(text, (byte) => `1\r\n${byte}\r\n`).join('');
  return await waitDuring(async () => {
    const socket = net.connect(port, '127.0.0.1').setEncoding('utf8');
    let answer = '';
    socket.on('data', (part: string) => (answer += part));
    socket.write(`${head}${chunks}0\r\n\r\n`);
    await once(socket, 'end');
    expect(answer).toMatch(/^HTTP\/1\.1 (200|400)/);
  }, enoughMs);
}
