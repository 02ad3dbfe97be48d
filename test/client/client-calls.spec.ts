import { createProjectsClient } from '../../src/client/projects-client.js';
import { errorOfProblem, ProjectsClientError } from '../../src/client/projects-client-error.js';
import type { Operation, Reply, RequestMeta, Transport } from '../../src/client/transport.js';
import { aProject } from '../support/builders.js';
import { failureOf } from '../support/client-contract.js';
import { until } from '../support/connections.js';

interface Sent {
  operation: Operation;
  meta: RequestMeta;
}

/** Fails with the code the given number of times, and then succeeds. */
function failing(code: string, times: number) {
  const sent: Sent[] = [];
  const transport: Transport = {
    call: async (operation, _request, { meta }): Promise<Reply> => {
      sent.push({ operation, meta });
      if (sent.length <= times) throw new ProjectsClientError(code as 'conflict', 'It failed.');
      return { status: 200, data: { version: 1 }, meta: {} };
    },
  };
  return { sent, client: createProjectsClient(transport, { retryPauseMs: 1 }) };
}

type Client = ReturnType<typeof createProjectsClient>;

const READS: [string, (client: Client) => Promise<unknown>][] = [
  ['list', (client) => client.list()],
  ['get', (client) => client.get('a')],
  ['history', (client) => client.history('a')],
  ['changes', (client) => client.changes()],
  ['technologies', (client) => client.technologies()],
];
const KEYED: typeof READS = [
  ['create', (client) => client.create(aProject())],
  ['batch', (client) => client.batch([])],
];
const OTHERS: typeof READS = [
  ['put', (client) => client.put('a', aProject())],
  ['patch', (client) => client.patch('a', {})],
  ['delete', (client) => client.delete('a')],
];

const NOTHING_DONE = ['unreachable', 'conflict', 'pool_exhausted', 'overloaded', 'not_ready'];
const UNKNOWN = ['connection_lost', 'database_unavailable', 'gateway_timeout'];
const LASTING = ['not_found', 'validation_failed', 'unauthorized', 'internal_error'];

describe.each([...READS, ...KEYED, ...OTHERS])('%s', (_name, call) => {
  it.each(NOTHING_DONE)('is repeated after %s', async (code) => {
    const { sent, client } = failing(code, 2);
    await call(client);
    expect(sent).toHaveLength(3);
  });

  it.each(LASTING)('is not repeated after %s', async (code) => {
    const { sent, client } = failing(code, 1);
    expect(await failureOf(call(client))).toMatchObject({ code });
    expect(sent).toHaveLength(1);
  });

  it('is sent at most three times', async () => {
    const { sent, client } = failing('overloaded', 9);
    expect(await failureOf(call(client))).toMatchObject({ code: 'overloaded' });
    expect(sent).toHaveLength(3);
  });
});

describe.each([...READS, ...KEYED])('%s', (_name, call) => {
  it.each(UNKNOWN)('is repeated after %s', async (code) => {
    const { sent, client } = failing(code, 1);
    await call(client);
    expect(sent).toHaveLength(2);
  });
});

describe.each(OTHERS)('%s', (_name, call) => {
  it.each(UNKNOWN)('is not repeated after %s, because it may have been executed', async (code) => {
    const { sent, client } = failing(code, 1);
    expect(await failureOf(call(client))).toMatchObject({ code });
    expect(sent).toHaveLength(1);
  });
});

it.each(KEYED)(
  'the client repeats %s with the same key, and uses another key for another call',
  async (_name, call) => {
    const { sent, client } = failing('connection_lost', 1);
    await call(client);
    await call(client);
    const keys = sent.map(({ meta }) => meta.idempotencyKey);
    expect(keys).toEqual([expect.stringMatching(/./), keys[0], expect.stringMatching(/./)]);
    expect(keys[2]).not.toBe(keys[0]);
  },
);

it('the client gives up when the service asks for a longer pause than the remaining time', async () => {
  let calls = 0;
  const transport: Transport = {
    call: async () => {
      calls++;
      throw new ProjectsClientError('overloaded', 'Later.', { retryAfterMs: 60_000 });
    },
  };
  const client = createProjectsClient(transport, { timeoutMs: 5000 });
  expect(await failureOf(client.list())).toMatchObject({ code: 'overloaded' });
  expect(calls).toBe(1);
});

it('the client ends a call without an answer at its timeout or when its caller aborts it', async () => {
  const transport: Transport = {
    call: (_operation, _request, { signal }) =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error)),
      ),
  };
  const client = createProjectsClient(transport, { timeoutMs: 20 });
  expect(await failureOf(client.create(aProject()))).toMatchObject({ code: 'timeout' });
  const stop = new AbortController();
  const call = client.list({}, { timeoutMs: 60_000, signal: stop.signal });
  const reason = new Error('enough');
  stop.abort(reason);
  await expect(call).rejects.toBe(reason);
});

it.each([null, 'text', {}, { code: 7, detail: 'x' }, '<html>'])(
  'the client does not accept %j as a problem',
  (body) => {
    expect(errorOfProblem(body, { status: 502 })).toMatchObject({
      code: 'invalid_answer',
      status: 502,
      detail:
        'The answer does not come from a Projects Service (status 502). Check the address of the service.',
    });
  },
);

describe('the consistency token', () => {
  /** The test decides when writes are answered, each with its token. Reads return the token that they sent. */
  function held() {
    const answers: ((token: string) => void)[] = [];
    const transport: Transport = {
      call: (operation, _request, { meta }): Promise<Reply> =>
        operation === 'technologies'
          ? Promise.resolve({ status: 200, data: meta.consistencyToken })
          : new Promise((resolve) =>
              answers.push((consistencyToken) =>
                resolve({ status: 200, data: { version: 1 }, consistencyToken }),
              ),
            ),
    };
    const client = createProjectsClient(transport);
    const write = async () => {
      const before = answers.length;
      const writing = client.patch('a', {});
      await until(() => answers.length > before);
      return async (token: string) => {
        answers[before]!(token);
        await writing;
      };
    };
    const sent = async () => (await client.technologies()) as unknown;
    return { client, write, sent };
  }

  it('is the latest position of concurrent writes, in whatever order they are answered', async () => {
    const { client, write, sent } = held();
    expect(await sent()).toBeUndefined();
    const [first, second, third] = [await write(), await write(), await write()];
    await second('1-9/FF');
    await first('1-A/0');
    await third('1-A/0');
    expect(await sent()).toBe('1-A/0');
    expect(client.consistencyToken).toBe('1-A/0');
    const [old, promoted] = [await write(), await write()];
    await promoted('2-1/0');
    await old('1-B/0');
    expect(await sent()).toBe('2-1/0');
  });

  it('is the token of a write that began after it, although its position is lower, as after a restore', async () => {
    const { write, sent } = held();
    const beyond = 'FFFFFFFF-FFFFFFFF/FFFFFFFF';
    const [unknown, beside] = [await write(), await write()];
    await unknown(beyond);
    expect(await sent()).toBe(beyond);
    const behind = await write();
    await beside('1-5/0');
    expect(await sent()).toBe(beyond);
    await behind('1-4/0');
    expect(await sent()).toBe('1-5/0');
    await (
      await write()
    )('1-2/0');
    expect(await sent()).toBe('1-2/0');
  });
});
