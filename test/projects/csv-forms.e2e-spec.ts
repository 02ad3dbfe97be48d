import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { spawnSync } from 'node:child_process';
import { built, ROOT } from '../support/built.js';
import { startService, type TestService } from '../support/service.js';
import { CSV, EXPORT, IMPORT, NDJSON } from '../support/transfer.js';

let service: TestService;
beforeEach(async () => {
  service = await startService();
});
afterEach(() => service.close());

const BOM = '\ufeff';
const NDJSON_TYPES = [NDJSON, 'application/ndjson', 'application/jsonl'];
const LINE = '{"name":"a","description":"","technologies":["C"]}\n';

async function importFile(query: string, type: string, body: string) {
  const headers = { 'Content-Type': type };
  const answer = await fetch(service.url + IMPORT + query, { method: 'POST', headers, body });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

async function exportFile(query: string, accept = '*/*') {
  const answer = await fetch(service.url + EXPORT + query, { headers: { Accept: accept } });
  const bytes = Buffer.from(await answer.arrayBuffer());
  return {
    status: answer.status,
    type: answer.headers.get('content-type'),
    text: bytes.toString(),
  };
}

/** A file that contains all three delimiters, so that a wrong one would give another name. */
const fileWith = (delimiter: string) =>
  [
    ['name', 'description', 'technologies'],
    ['"a,b;c\td"', 'x', '"[""C""]"'],
  ]
    .map((cells) => cells.join(delimiter))
    .join('\r\n');

describe('a CSV file', () => {
  it.each([
    ['comma', ','],
    ['semicolon', ';'],
    ['tab', '\t'],
  ])('has a given or detected delimiter: %s', async (name, character) => {
    const queries = ['', `?delimiter=${name}`, `?delimiter=${encodeURIComponent(character)}`];
    for (const [at, query] of queries.entries()) {
      const { status, body } = await importFile(query, CSV, fileWith(character));
      expect([query, status, body]).toMatchObject([query, 200, { data: { created: 1 } }]);
      const { text } = await exportFile('');
      expect(text.match(/"name":"a,b;c\\td"/g)).toHaveLength(at + 1);
    }
  });

  it('is read with the given delimiter, even if its first row suggests another one', async () => {
    const { status, body } = await importFile('?delimiter=semicolon', CSV, fileWith(','));
    expect([status, body]).toMatchObject([400, { code: 'validation_failed' }]);
  });

  const NAMES = 'must be one of: comma, semicolon, tab';
  it.each([
    ['|', NAMES],
    ['colon', NAMES],
    ['', NAMES],
    [';&delimiter=,', 'must be given only once'],
  ])('cannot have another delimiter: %s', async (delimiter, message) => {
    const { status, body } = await importFile(`?delimiter=${delimiter}`, CSV, fileWith(','));
    expect(status).toBe(400);
    expect(body).toMatchObject({ errors: [{ path: 'delimiter', message }] });
  });

  it.each(['', BOM])(
    'with a carriage return alone at each line end is refused with the remedy',
    async (bom) => {
      for (const file of ['name,description,technologies\ra,b,[]\r', '"name","x"\r"a","b"\r']) {
        const { status, body } = await importFile('', CSV, bom + file);
        expect(status).toBe(400);
        expect(body.errors).toEqual([
          { line: 1, path: '', message: expect.stringContaining('carriage return alone') },
        ]);
      }
    },
  );

  it('begins with a byte order mark on request, and can be imported again', async () => {
    await importFile('', NDJSON, LINE);
    const plain = await exportFile('?format=csv');
    const marked = await exportFile('?format=csv&bom=true');
    expect(plain.text.startsWith('id,')).toBe(true);
    expect(marked.text).toBe(BOM + plain.text);
    expect((await exportFile('?format=csv&bom=false')).text).toBe(plain.text);
    expect((await exportFile('?bom=true', 'text/csv')).text).toBe(marked.text);
    expect(await importFile('', CSV, marked.text)).toMatchObject({
      body: { data: { unchanged: 1, refused: 0 } },
    });
    expect((await exportFile('?format=csv&bom=1')).status).toBe(400);
  });
});

describe('NDJSON', () => {
  it.each(NDJSON_TYPES)('is read and written as %s', async (type) => {
    for (const parameters of ['', '; charset=utf-8', ';charset=utf8']) {
      const { status, body } = await importFile('', type + parameters, LINE);
      expect([status, body]).toMatchObject([200, { data: { created: 1 } }]);
    }
    const file = await exportFile('', type);
    expect([file.status, file.type]).toEqual([200, type]);
    expect(file.text.trim().split('\n')).toHaveLength(3);
    expect((await exportFile('?format=csv', type)).status).toBe(406);
  });

  it('keeps its old media type when the client accepts anything', async () => {
    expect((await exportFile('')).type).toBe(NDJSON);
    expect((await exportFile('', 'application/*')).type).toBe(NDJSON);
    expect((await exportFile('', 'application/jsonl;q=0.5, text/csv;q=0.1')).type).toBe(
      'application/jsonl',
    );
  });

  it('has no delimiter and no byte order mark', async () => {
    expect(await importFile('?delimiter=comma', NDJSON, LINE)).toMatchObject({
      status: 400,
      body: { errors: [{ path: 'delimiter', message: expect.stringContaining('for CSV only') }] },
    });
    const { status, text } = await exportFile('?bom=true');
    expect([status, JSON.parse(text)]).toMatchObject([
      400,
      { errors: [{ path: 'bom', message: expect.stringContaining('for CSV only') }] },
    ]);
  });
});

describe('the command line', () => {
  it('accepts --delimiter and --bom only for CSV', async () => {
    await built();
    const folder = await mkdtemp(path.join(tmpdir(), 'csv-forms-'));
    const cli = (...words: string[]) =>
      spawnSync(process.execPath, [path.join(ROOT, 'dist/cli/main.js'), ...words], {
        cwd: folder,
        encoding: 'utf8',
        env: { PATH: process.env.PATH, DATABASE_URL: service.database.url },
      });
    try {
      await writeFile(path.join(folder, 'in.csv'), fileWith('\t'));
      const wrong = cli('import', 'in.csv', '--delimiter', 'semicolon');
      expect([wrong.status, wrong.stdout]).toEqual([1, '']);
      const right = cli('import', 'in.csv', '--delimiter', 'tab');
      expect([right.status, right.stdout]).toEqual([
        0,
        '1 created, 0 replaced, 0 unchanged, 0 refused\n',
      ]);
      expect(cli('export', 'out.csv', '--bom').status).toBe(0);
      const file = await readFile(path.join(folder, 'out.csv'), 'utf8');
      expect(file).toMatch(/^\ufeffid,name,.*\r\n.*"a,b;c\td"/s);
      const refused = cli('export', 'out.ndjson', '--bom');
      expect([refused.status, refused.stderr]).toEqual([
        1,
        expect.stringContaining('bom is for CSV only'),
      ]);
    } finally {
      await rm(folder, { recursive: true });
    }
  }, 120_000);
});
