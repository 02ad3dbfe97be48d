import net from 'node:net';
import request from 'supertest';
import { aProject } from './support/builders.js';
import { sleep, until } from './support/connections.js';
import { exchangeOne, head } from './support/raw-http.js';
import { startService, type TestService } from './support/service.js';
import {
  CSV,
  EXPORT,
  IMPORT,
  NDJSON,
  nastyProjects,
  ndjson,
  onDatabase,
  tableOf,
} from './support/transfer.js';

let service: TestService;
let api: ReturnType<typeof request>;
beforeEach(async () => {
  service = await startService();
  api = request(service.url);
});
afterEach(() => service.close());

async function fetchText(path: string, headers: Record<string, string> = {}): Promise<string> {
  const answer = await fetch(service.url + path, { headers });
  expect(answer.status).toBe(200);
  return await answer.text();
}

async function importFile(type: string, body: string) {
  return await api.post(IMPORT).set('Content-Type', type).send(body);
}

async function wipe(): Promise<void> {
  await onDatabase(service.database.url, (sql) => sql`truncate projects`);
}

describe('export, wipe, import', () => {
  it.each([
    ['ndjson', NDJSON],
    ['csv', CSV],
  ])('gives a table identical to the byte, by %s', async (format, type) => {
    await importFile(NDJSON, ndjson(...nastyProjects())).then((answer) =>
      expect(answer.body).toMatchObject({ data: { created: nastyProjects().length, refused: 0 } }),
    );
    await api.post('/api/projects').send(aProject()).expect(201);
    const before = await tableOf(service);

    const file = await fetchText(`${EXPORT}?format=${format}`);
    await wipe();
    const answer = await importFile(type, file);
    expect(answer.body).toEqual({
      success: true,
      data: {
        created: nastyProjects().length + 1,
        replaced: 0,
        unchanged: 0,
        refused: 0,
        errors: [],
      },
    });
    expect(await tableOf(service)).toEqual(before);

    const again = await importFile(type, file);
    expect(again.body.data).toMatchObject({
      unchanged: nastyProjects().length + 1,
      created: 0,
      replaced: 0,
    });
    expect(await tableOf(service)).toEqual(before);
    expect(await fetchText(`${EXPORT}?format=${format}`)).toBe(file);
  });
});
