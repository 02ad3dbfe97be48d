import { randomUUID } from 'node:crypto';
import { parse } from 'csv-parse/sync';
import { checkRow, plainRow, rowIfValid } from '../../src/entities/transfer/check-row.js';
import { cellsOf } from '../../src/entities/transfer/csv-cells.js';
import { INTEGER, TEXT } from '../../src/db/entity/column-kinds.js';
import { type CsvOptions, readCsv as readCsvOf } from '../../src/entities/transfer/csv.js';
import type { FileRow } from '../../src/entities/transfer/file-row.js';
import { readNdjson } from '../../src/entities/transfer/ndjson.js';
import { MAX_RECORD_BYTES } from '../../src/entities/transfer/records.js';
import { PROJECT_FILE } from '../../src/projects/project-file.js';
import { aProject } from '../support/builders.js';

const readCsv = (source: AsyncIterable<Uint8Array>, options?: CsvOptions) =>
  readCsvOf(PROJECT_FILE, source, options);

type Reader = (source: AsyncIterable<Uint8Array>) => AsyncGenerator<FileRow[]>;

/** Returns the result of a reader for a file that arrives in parts of these sizes, repeatedly in turn. */
async function read(reader: Reader, file: string | Buffer, sizes = [1 << 20]): Promise<FileRow[]> {
  const bytes = Buffer.from(file as string);
  async function* parts() {
    for (let at = 0, i = 0; at < bytes.length; at += sizes[i++ % sizes.length]!) {
      yield bytes.subarray(at, at + sizes[i % sizes.length]!);
    }
  }
  const rows: FileRow[] = [];
  for await (const block of reader(parts())) rows.push(...block);
  return rows;
}

/** The line and the value, or the line and the fault. */
function told(rows: FileRow[]): unknown[] {
  return rows.map(({ line, value, faults }) => [line, value ?? faults[0]!.message]);
}

describe('NDJSON', () => {
  it('is read line by line, with LF or CRLF, a byte order mark, empty lines and no end of the last line', async () => {
    const file = '\ufeff{"a":1}\r\n\n\r\n{"b":"\\n"}\n{"c":"é🚀"}';
    const expected = [
      [1, { a: 1 }],
      [4, { b: '\n' }],
      [5, { c: 'é🚀' }],
    ];
    for (const size of [1, 2, 3, 7, 1000])
      expect(told(await read(readNdjson, file, [size]))).toEqual(expected);
    expect(await read(readNdjson, '')).toEqual([]);
    expect(await read(readNdjson, '\ufeff')).toEqual([]);
  });

  it('refuses a line that is not a JSON object, and reads the lines around it', async () => {
    const lines = [
      '{"a":1}',
      '{',
      '[]',
      'null',
      '7',
      '"a"',
      '{"a":1}{"b":2}',
      'NaN',
      ' ',
      '{"z":1}',
    ];
    const notJson = 'is not valid JSON';
    const notObject = 'must be a JSON object';
    expect(told(await read(readNdjson, lines.join('\n')))).toEqual([
      [1, { a: 1 }],
      [2, notJson],
      ...[3, 4, 5, 6].map((line) => [line, notObject]),
      ...[7, 8, 9].map((line) => [line, notJson]),
      [10, { z: 1 }],
    ]);
  });

  it('refuses a line with bytes that are not UTF-8', async () => {
    const file = Buffer.from('{"a":1}\n{"a":"\xff"}\n{"a":"\xed\xa0\x80"}\n{"b":2}\n', 'latin1');
    const refused = 'is not valid UTF-8';
    expect(told(await read(readNdjson, file, [5]))).toEqual([
      [1, { a: 1 }],
      [2, refused],
      [3, refused],
      [4, { b: 2 }],
    ]);
  });

  it.each([1 << 20, 100_000, 999])(
    'refuses a line of 10 MB without keeping it in memory, in parts of %i bytes',
    async (size) => {
      const long = `{"a":"${'x'.repeat(10_000_000)}"}`;
      const limit = `{"a":"${'x'.repeat(MAX_RECORD_BYTES - 8)}"}`;
      const rows = await read(
        readNdjson,
        ['{"a":1}', long, '{"b":2}', limit, `${limit} `].join('\n'),
        [size],
      );
      expect(rows.map(({ line, faults }) => [line, faults?.[0]!.message])).toEqual([
        [1, undefined],
        [2, `is longer than ${MAX_RECORD_BYTES} bytes`],
        [3, undefined],
        [4, undefined],
        [5, `is longer than ${MAX_RECORD_BYTES} bytes`],
      ]);
    },
  );
});

describe('CSV', () => {
  const HEADER = 'name,description,technologies';
  const value = (name: string, description = '', technologies: unknown = []) => ({
    name,
    description,
    technologies,
  });

  it('is read by RFC 4180, and rows are named by the line where they begin', async () => {
    const file = [
      `\ufeff${HEADER}`,
      'a,b,[]',
      '"a ""quoted""","b\r\nc\nd","[""C"", ""D""]"',
      '',
      '"a,b",,"[]"',
      '"""",  ,[]',
    ].join('\r\n');
    const expected = [
      [2, value('a', 'b')],
      [3, value('a "quoted"', 'b\r\nc\nd', ['C', 'D'])],
      [7, value('a,b')],
      [8, value('"', '  ')],
    ];
    for (const size of [1, 2, 3, 11, 10_000])
      expect(told(await read(readCsv, file, [size]))).toEqual(expected);
    expect(told(await read(readCsv, file.replaceAll('\r\n', '\n'), [9]))).toHaveLength(4);
  });

  it('accepts its columns in any order, and an empty cell of an optional column as absent', async () => {
    const file = `version,technologies,id,name,createdAt,description\n7,[],,a,,\n,[],x,b,y,\n1e1,[],,c,,`;
    expect(told(await read(readCsv, file))).toEqual([
      [2, { ...value('a'), version: 7 }],
      [3, { ...value('b'), id: 'x', createdAt: 'y' }],
      [4, { ...value('c'), version: '1e1' }],
    ]);
  });

  it.each([
    ['', [['name'], ['description'], ['technologies']]],
    ['name,description', [['technologies']]],
    [`${HEADER},colour`, [['colour']]],
    [`${HEADER},name`, [['name']]],
    [`Name,description,technologies`, [['name'], ['Name']]],
    [`${HEADER},,x`, [[''], ['x']]],
    [
      HEADER.replaceAll(',', '|'),
      [['name'], ['description'], ['technologies'], [HEADER.replaceAll(',', '|')]],
    ],
    [`"name,description,technologies`, [['']]],
  ])('refuses the header %j by its columns', async (header, paths) => {
    const failed = await read(readCsv, header && `${header}\na,b,[]\n`).catch(
      (error: unknown) => error,
    );
    expect(failed).toMatchObject({ code: 'validation_failed' });
    const { errors } = (failed as { extra: { errors: { line: number; path: string }[] } }).extra;
    expect(errors.map(({ path }) => [path])).toEqual(paths);
    expect(errors.every(({ line }) => line === 1)).toBe(true);
  });

  it('refuses rows that are malformed, too long, not UTF-8 or with other columns, and reads the others', async () => {
    const quotes =
      'its quotes do not follow RFC 4180: write a cell that contains a quote in quotes, and write each quote in it twice';
    const cells = (count: number) =>
      `has ${count} cells for the 3 columns: write a cell that contains the delimiter in quotes`;
    const noList = 'must be a JSON list such as ["C", "SQL"], which CSV writes "[""C"", ""SQL""]"';
    const rows: [Buffer | string, unknown][] = [
      ['good,1,[]', value('good', '1')],
      ['a"b,2,[]', quotes],
      ['"a"b,3,[]', quotes],
      ['good,4,[]', value('good', '4')],
      ['a,b', cells(2)],
      ['a,b,[],x', cells(4)],
      [Buffer.from('\xff,b,[]', 'latin1'), 'is not valid UTF-8'],
      [`"${'x'.repeat(2_000_000)}",b,[]`, `is longer than ${MAX_RECORD_BYTES} bytes`],
      ['good,9,nonsense', noList],
      ['"open,10,[]', quotes],
    ];
    const file = Buffer.concat(
      [HEADER, ...rows.map(([row]) => row)].flatMap((row) => [
        Buffer.from(row as string),
        Buffer.from('\n'),
      ]),
    );
    for (const size of [1_000_000, 4001])
      expect(told(await read(readCsv, file, [size]))).toEqual(
        rows.map(([, expected], i) => [i + 2, expected]),
      );
  });

  const ROW = `"a;b","c,d","[""C""]"`;
  const BY_SEMICOLONS = ROW.replaceAll('","', '";"');

  it.each([
    ['semicolons', `name;description;technologies\n"a;b";c,d;"[""C""]"\n`],
    ['semicolons in quotes', `"name";"description";"technologies"\n${BY_SEMICOLONS}\n`],
    ['tabs', `name\tdescription\ttechnologies\na;b\tc,d\t"[""C""]"\n`],
    ['commas named by sep=', `\ufeffsep=,\r\n${HEADER}\r\n${ROW}\r\n`],
    ['semicolons named by sep=', `sep=;\n${HEADER.replaceAll(',', ';')}\n${BY_SEMICOLONS}\n`],
    ['empty last columns', `${HEADER},,\n${ROW},,\n`],
    ['empty rows', `${HEADER}\n,,\n\n"","",\n${ROW}\n,,,,\n`],
    ['optional last cells left out', `${HEADER},id,version\n${ROW}\n`],
    [
      'all of this at once',
      `sep=;\r\n${HEADER.replaceAll(',', ';')};;\r\n;;;;\r\n${BY_SEMICOLONS};;\r\n;;;;\r\n`,
    ],
  ])('is read as spreadsheets write it, with %s', async (_what, file) => {
    for (const size of [1, 5, 1000]) {
      const rows = await read(readCsv, file, [size]);
      expect(rows.map((row) => row.value ?? row)).toEqual([value('a;b', 'c,d', ['C'])]);
    }
  });

  it('is read with the given delimiter, whatever its first row looks like', async () => {
    const file = 'name;description;technologies\na,b;c;[]\n';
    const reader: Reader = (source) => readCsv(source, { delimiter: ';' });
    expect(told(await read(reader, file))).toEqual([[2, value('a,b', 'c')]]);
    const wrong: Reader = (source) => readCsv(source, { delimiter: ',' });
    await expect(read(wrong, file)).rejects.toMatchObject({
      code: 'validation_failed',
      detail: expect.stringContaining('commas, semicolons or tabs'),
    });
  });

  it('refuses a header of thousands of columns by its first hundred', async () => {
    const header = 'x,'.repeat(8000) + 'name,'.repeat(6000);
    const failed = await read(readCsv, `${header}\n`).catch((error: unknown) => error);
    expect((failed as { extra: { errors: unknown[] } }).extra.errors).toHaveLength(100);
    await expect(read(readCsv, `${header.repeat(5)}\n`)).rejects.toMatchObject({
      extra: { errors: [{ message: 'has more than 16384 cells' }] },
    });
  });

  it('counts the lines of a skipped row', async () => {
    const long = `"${'x\n'.repeat(1_000_000)}",b,[]`;
    const rows = await read(readCsv, `${HEADER}\n${long}\nlast,1,[]\n`, [64 * 1024]);
    expect(rows[0]).toMatchObject({ line: 2, faults: [{ path: '' }] });
    expect(rows.at(-1)).toMatchObject({ line: 1_000_003, value: { name: 'last' } });
  });

  it.each([
    ['=1', '=1'],
    ["'=1", '=1'],
    ["''=1", "'=1"],
    ["'a", "'a"],
    ["'", "'"],
    ["''", "''"],
    ["'-", '-'],
    ["'\t", '\t'],
    ["'\r\n", '\r\n'],
    ["'＝1", '＝1'],
    ['', ''],
  ])('reads the cell %j as the text %j', (cell, text) => expect(TEXT.fromCell(cell)).toBe(text));
});

it.each([
  ['7', 7],
  ['-7', -7],
  ['7.5', '7.5'],
  ['1'.repeat(16), '1'.repeat(16)],
])(
  'the cell %j of a column of whole numbers is read as %j, which the validation checks',
  (cell, value) => expect(INTEGER.fromCell(cell)).toBe(value),
);

describe('the cells of a row', () => {
  const pieces = ['"', '""', ',', ';', 'a', ' ', '\n', '\r', "'", 'é'];
  const rowsOf = (length: number): string[] =>
    length === 0 ? [''] : rowsOf(length - 1).flatMap((row) => pieces.map((piece) => row + piece));

  it('are the same as those of csv-parse, or both refuse the row', () => {
    const rows = [...rowsOf(4), '"a,""b""",c;d', '"",""', 'a,"b\r\nc",'];
    for (const delimiter of [',', ';'] as const) {
      for (const row of rows) {
        const cells = cellsOf(row, delimiter);
        const found = Array.isArray(cells) ? cells : 'refused';
        expect([row, found]).toEqual([row, parsed(row, delimiter)]);
      }
    }
  });

  function parsed(row: string, delimiter: string): string[] | 'refused' {
    try {
      return parse(row, { delimiter, record_delimiter: '\0' })[0]!;
    } catch {
      return 'refused';
    }
  }
});

describe('the fast check of a row', () => {
  const UUID = '0198c5a3-5a0e-4f6e-9a53-1f2a5d3f7b10';
  const MOMENT = '2026-01-31T12:00:00.000Z';
  const texts = [
    ...[
      '',
      ' ',
      'a',
      ' a',
      'a ',
      '\u00a0a',
      '\u200ba',
      '\ufeffa',
      '\0',
      'a\0',
      '\ud800',
      'a\udc00',
      '🚀',
    ],
    ...[
      'x'.repeat(100),
      'x'.repeat(101),
      '🚀'.repeat(100),
      '🚀'.repeat(51),
      'x'.repeat(255),
      'x'.repeat(256),
    ],
    ...[
      '🚀'.repeat(255),
      '🚀'.repeat(256),
      'x'.repeat(20_000),
      'x'.repeat(20_001),
      '🚀'.repeat(20_001),
    ],
  ];
  const odd = [undefined, null, 0, 1, true, [], {}, ['a'], { length: 1 }, Infinity];
  const values: Record<string, unknown[]> = {
    name: [...texts, ...odd],
    description: [...texts, ...odd],
    technologies: [
      ...odd,
      ...texts.map((text) => [text]),
      ...odd.map((value) => [value]),
      ...[
        ['a', 'a'],
        ['a', 'a '],
        ['a', 'A'],
        ['a', 'b', 'c'],
      ],
      Array.from({ length: 100 }, (_, i) => `${i}`),
      Array.from({ length: 101 }, (_, i) => `${i}`),
    ],
    id: [...odd, UUID, UUID.toUpperCase(), `${UUID} `, `{${UUID}}`, '0'.repeat(36), ''],
    createdAt: [
      ...[...odd, MOMENT, MOMENT.toLowerCase(), '2026-01-31', '2026-01-31T12:00:00Z', '', 'now'],
      ...['2026-02-30T12:00:00.000Z', '2024-02-29T12:00:00.000Z', '0000-01-01T00:00:00.000Z'],
      ...['0001-01-01T00:00:00+01:00', '9999-12-31T23:59:59-01:00', '2026-01-31T24:00:00.000Z'],
      ...['2026-01-31T12:00:00.123456Z', '2026-01-31T12:00:00+02:00', '+10000-01-31T12:00:00Z'],
      ...['0001-01-01T00:00:00.000Z', '9999-12-31T23:59:59.999Z', '2026-01-31 12:00:00.000Z'],
    ],
    version: [...odd, -1, 1.5, 2 ** 30 - 1, 2 ** 30, '1', NaN],
    colour: ['red'],
    __proto__x: [1],
  };

  it('accepts no row that the full rules refuse, and gives the same values', async () => {
    const rows: object[] = [JSON.parse('{"__proto__":{"name":"a"}}')];
    for (const [field, candidates] of Object.entries(values)) {
      for (const candidate of candidates) {
        rows.push({ ...aProject(), [field]: candidate });
        rows.push({
          ...aProject(),
          id: UUID,
          createdAt: MOMENT,
          updatedAt: MOMENT,
          version: 1,
          [field]: candidate,
        });
      }
    }
    const fields = Object.keys(values);
    for (let i = 0; i < 3000; i++) {
      const row: Record<string, unknown> = aProject();
      for (const field of [fields[i % 6]!, fields[(i * 7 + (i >> 3)) % 6]!])
        row[field] = values[field]![(i * 31) % values[field]!.length];
      rows.push(row);
    }
    let plain = 0;
    for (const row of rows) {
      const checked = await checkRow(PROJECT_FILE, structuredClone(row));
      expect({ ...rowIfValid(PROJECT_FILE, structuredClone(row)) }).toEqual({ ...checked.row });
      const short = plainRow(PROJECT_FILE, structuredClone(row));
      if (!short) continue;
      plain++;
      const { row: whole, faults } = await checkRow(PROJECT_FILE, row);
      expect({ faults, whole: { ...whole } }).toEqual({ faults: undefined, whole: { ...short } });
    }
    expect(plain).toBeGreaterThan(100);
  });

  it('accepts what an export writes', () => {
    const row = {
      ...aProject(),
      id: randomUUID(),
      createdAt: MOMENT,
      updatedAt: MOMENT,
      version: 3,
    };
    expect(plainRow(PROJECT_FILE, row)).toEqual(row);
  });
});
