/** Every value of a hostile request contains this text, and no answer that refuses it may contain it. */
export const MARKER = 'value-7f3a9c-of-the-client';

export interface Forged {
  method: string;
  /** The path without the query. */
  path: string;
  head: string;
  body: Buffer;
}

type Random = () => number;

/** mulberry32: the same number always gives the same request. */
function randomFrom(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pick = <T>(random: Random, from: readonly T[]): T =>
  from[Math.floor(random() * from.length)]!;

const METHODS = ['GET', 'GET', 'POST', 'POST', 'PUT', 'PUT', 'PATCH', 'PATCH', 'DELETE', 'HEAD'];
const ODD_METHODS = ['OPTIONS', 'TRACE', 'PROPFIND', 'LOCK', 'NOTHING', 'post', 'M-SEARCH'];

const BATCH = '/api/projects/batch';

const ODD_PATHS = [
  ...['/', '/api', '/api/projects/', '//api/projects', '/API/projects', '/api/../etc/passwd', '*'],
  ...[
    '/api/projects/%00',
    '/api/projects/%ff',
    '/api/projects/%',
    '/api/%zz',
    '/docs/%c0%ae%c0%ae/x',
  ],
  ...[
    '/health/live',
    '/health/ready',
    '/health/startup',
    '/health/%2e%2e',
    '/docs/..%2f..%2fpackage.json',
  ],
  ...[`/api/projects/${MARKER}`, "/api/projects/1'%20or%20'1'='1", '/api/projects/__proto__'],
  ...['/api/projects/00000000-0000-0000-0000-000000000000', '/api/projects/null', 'http://[', 'x'],
  ...[`/api/projects/${'9'.repeat(5000)}`, `/${'a/'.repeat(3000)}`, `/${'x'.repeat(20_000)}`],
  ...[
    '/api/projects/\xff',
    '/api/projects#fragment',
    'http://evil.example/api/projects',
    '/api/projects\\x',
  ],
];

const QUERIES = [
  ...[
    'limit=1',
    'limit=0',
    'limit=-1',
    'limit=1e400',
    'limit=1e20',
    'limit=0x10',
    'limit=%201',
    'limit=',
  ],
  ...[
    `limit=${'9'.repeat(400)}`,
    `limit=${MARKER}`,
    'limit=1&limit=2',
    'limit[]=1',
    'limit[$gt]=1',
  ],
  ...[
    'limit=%00',
    'limit=%',
    'limit=%zz',
    'limit=%ff',
    'limit=%ed%a0%80',
    '%00=1',
    '%',
    '&&&',
    '=',
    '?',
  ],
  ...[
    `unknown=${MARKER}`,
    `__proto__[limit]=${MARKER}`,
    'constructor=1',
    'hasOwnProperty=1',
    'limit=\xff',
  ],
  ...[
    `limit=1;drop%20table%20projects--${MARKER}`,
    `limit=1'%20or%20'1'='1`,
    `a=${'x'.repeat(12_000)}`,
  ],
  Array.from({ length: 300 }, (_, i) => `p${i}=${i}`).join('&'),
];

const HEADERS: Record<string, readonly string[]> = {
  Accept: [
    '*/*',
    'application/json',
    'text/html',
    `x/${MARKER}`,
    ',;=',
    '',
    'application/*;q=0',
    'a'.repeat(9000),
  ],
  'If-Match': [
    '"1"',
    '*',
    '"999"',
    `"${MARKER}"`,
    'W/"1"',
    '1',
    '"',
    '"1""2"',
    `"${'1'.repeat(9000)}"`,
    '\xff',
    '"2147483648", "999999999"',
  ],
  'If-None-Match': [
    '"1"',
    '*',
    'W/"1"',
    `"${MARKER}"`,
    MARKER,
    '"1',
    ',,,',
    `${'"1",'.repeat(2000)}"1"`,
  ],
  'X-Request-Id': [`${MARKER} ${MARKER}`, 'x'.repeat(5000), '\xff', '<script>', 'a\0b', '', '1'],
  traceparent: [MARKER, '00-0-0-0', `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, 'x'.repeat(5000)],
  'Content-Encoding': ['gzip', 'rot13', 'identity', 'gzip, gzip', MARKER],
  'Transfer-Encoding': ['chunked', 'gzip', 'identity', 'chunked, chunked', MARKER],
  Expect: ['100-continue', MARKER],
  Range: ['bytes=0-1', MARKER],
  Connection: ['close, upgrade', `close, ${MARKER}`],
  Upgrade: ['websocket', 'h2c'],
  Host: [MARKER, '', '\xff'],
  'X-Forwarded-For': [MARKER, "'; drop table projects --"],
  'X-HTTP-Method-Override': ['DELETE'],
  'Idempotency-Key': [MARKER, '\xff'],
  'Content-Length': ['0', '1', '-1', '99999999999', '1e3', MARKER],
  Cookie: [`a=${MARKER}`, 'x'.repeat(20_000)],
  [`X-${'y'.repeat(500)}`]: [MARKER],
  __proto__x: [MARKER],
  'Bad name': ['x'],
  'X-Control': ['a\rb', 'a\x01b'],
};

const CONDITIONS = ['If-Match', 'If-None-Match'];

const TYPES = [
  ...['text/plain', 'application/json; charset=utf-16', 'application/json; charset=' + MARKER, ''],
  ...['application/xml', 'application/json-patch+json', ',', 'multipart/form-data', '\xff', 'json'],
];

const SEARCHED = [
  ...['-', '--', '-'.repeat(90), ' ', ' ', '"', '""', '(', ')', '!', '&', '|', '|', ':', ':*', "'"],
  ...[
    '\\',
    '\\\\',
    '<->',
    '<2>',
    '<',
    '>',
    'or',
    ' or ',
    'OR',
    'and',
    'not',
    'a',
    'b',
    MARKER,
    '%',
  ],
  ...['.', '/', '@', '+', '#', '*', ',', ';', '$1', '\t', '\n', '\x01', '\x7f', '\u0085', '\u00a0'],
  ...[
    'é',
    'e\u0301',
    'ß',
    'İ',
    '²',
    '½',
    '漢字',
    '🚀',
    '\u200d',
    '\u202e',
    '\ufeff',
    '\uffff',
    '1e5',
  ],
  ...[
    '-5',
    '1.5',
    'http://a.b/c',
    'a@b.c',
    '&amp;',
    '<b>',
    'Node.js',
    'CI/CD',
    'wordlike',
    'xyzzy',
  ],
];

/** Returns the `q` for this number, of up to 220 characters. */
export function forgeSearch(seed: number): string {
  const random = randomFrom(seed);
  const pieces = Array.from({ length: 1 + Math.floor(random() * 14) }, () =>
    pick(random, SEARCHED),
  );
  return [...pieces.join(random() < 0.5 ? '' : ' ')].slice(0, 220).join('');
}

/** JSON of values that no field accepts or should accept. */
const VALUES = [
  ...[
    'null',
    'true',
    '0',
    '-1',
    '1e400',
    '-1e400',
    '9'.repeat(3000),
    '1.5',
    '{}',
    '[]',
    '""',
    '" "',
  ],
  ...[
    `"${MARKER}\\u0000"`,
    `"${MARKER}\\ud800"`,
    '"\\udc00\\ud800"',
    `["${MARKER}\\u0000"]`,
    '["\\ud83d"]',
  ],
  ...['['.repeat(3000) + ']'.repeat(3000), '{"a":'.repeat(3000) + '1' + '}'.repeat(3000)],
  ...[
    `"${MARKER}'; drop table projects; --"`,
    `"\${${MARKER}}"`,
    `"{{${MARKER}}}"`,
    `"$1 ${MARKER}"`,
  ],
  ...[
    `"${MARKER.repeat(2000)}"`,
    `"${'🚀'.repeat(256)}"`,
    `["${MARKER}","${MARKER}"]`,
    `[["${MARKER}"]]`,
  ],
  ...[
    `{"${MARKER}":1}`.replace(MARKER, 'then'),
    '{"length":1e9}',
    `["${MARKER}",null]`,
    '[[[[]]]]',
  ],
  `[${Array.from({ length: 2000 }, (_, i) => `"${i}"`).join()}]`,
  ...[
    '"\\u202e"',
    '"\\ufeff"',
    '"\\uffff"',
    '"1\\n2\\r\\n3"',
    '"%s%n%d"',
    '"\u00e9\u0301"',
    '"../../etc/passwd"',
  ],
];

const KEYS = [
  ...['name', 'name', 'description', 'description', 'technologies', 'technologies', 'technologies'],
  ...['id', 'version', 'createdAt', '__proto__', 'constructor', 'prototype', 'toString', 'valueOf'],
  ...[
    '\\u0000',
    '\\ud800',
    '',
    'NAME',
    'name ',
    'then',
    'toJSON',
    '$where',
    'x'.repeat(3000),
    '"'.replace('"', '\\"'),
  ],
];

const BROKEN_BODIES = [
  ...[
    '',
    '{',
    '{"name":',
    `{"name":"${MARKER}"`,
    `{'name':'${MARKER}'}`,
    'null',
    '[]',
    `"${MARKER}"`,
  ],
  ...[
    'NaN',
    'undefined',
    '{"name":NaN}',
    `{"name":"${MARKER}",}`,
    `{"name":"${MARKER}"}}`,
    '\ufeff{}',
  ],
  ...[
    `<x>${MARKER}</x>`,
    `name=${MARKER}`,
    '['.repeat(20_000),
    `{"name":"${MARKER}","name":"\\u0000"}`,
  ],
  ...['{"a":1,'.repeat(3000), '\0', `{"__proto__":{"name":"${MARKER}"}}`, 'x'.repeat(1_100_000)],
];

/** Returns the request for this number. It is mostly valid, with a few faults, so that it passes the first checks. */
export function forgeRequest(seed: number, item: string): Forged {
  const random = randomFrom(seed);
  const chance = (probability: number) => random() < probability;
  const method = pick(random, chance(0.1) ? ODD_METHODS : METHODS);
  const path = chance(0.15)
    ? pick(random, ODD_PATHS)
    : method === 'POST'
      ? pick(random, ['/api/projects', BATCH])
      : chance(0.2)
        ? '/api/projects'
        : item;
  const query = chance(0.15) ? `?${pick(random, QUERIES)}` : '';
  const hasBody = ['POST', 'PUT', 'PATCH'].includes(method) || chance(0.05);
  const body = hasBody ? forgeBody(random, path === BATCH) : Buffer.alloc(0);
  const headers = new Map([['Host', 'test']]);
  if (hasBody) {
    headers.set('Content-Type', chance(0.1) ? pick(random, TYPES) : 'application/json');
    headers.set('Content-Length', String(body.length));
  }
  for (let count = Math.floor(random() * 3); count > 0; count--) {
    const name = pick(random, chance(0.4) ? CONDITIONS : Object.keys(HEADERS));
    headers.set(name, pick(random, HEADERS[name]!));
  }
  // The service correctly waits for a body that never arrives.
  if (body.length === 0 && headers.get('Content-Length') === '1') headers.delete('Content-Length');
  if (!headers.get('Connection')) headers.set('Connection', 'close');
  const lines = [...headers].map(([name, value]) => `${name}: ${value}`);
  const head = [`${method} ${path}${query} HTTP/1.1`, ...lines, '', ''].join('\r\n');
  return { method, path, head, body };
}

function forgeBody(random: Random, isBatch: boolean): Buffer {
  const choice = random();
  if (choice < 0.15) return Buffer.from(pick(random, BROKEN_BODIES));
  if (choice < 0.2) return Buffer.from(`{"name":"${MARKER}\xff"}`, 'latin1');
  const fields = [
    ['name', `"${MARKER}"`],
    ['description', `"${MARKER}"`],
    ['technologies', `["${MARKER}"]`],
  ];
  for (let count = Math.floor(random() * 3); count > 0; count--) {
    const key = pick(random, KEYS);
    const known = fields.find(([name]) => name === key);
    if (known) known[1] = pick(random, VALUES);
    else fields.push([key, pick(random, VALUES)]);
  }
  const project = `{${fields.map(([key, value]) => `"${key}":${value}`).join()}}`;
  return Buffer.from(isBatch ? forgeBatch(random, project) : project);
}

function forgeBatch(random: Random, project: string): string {
  const operation = pick(random, [
    `{"op":"create","project":${project}}`,
    `{"op":"replace","id":"${MARKER}","project":${project}}`,
    `{"op":"delete","id":"00000000-0000-0000-0000-000000000000","ifMatch":${pick(random, VALUES)}}`,
    `{"op":${pick(random, VALUES)}}`,
    pick(random, VALUES),
  ]);
  return `{"operations":[{"op":"create","project":${project}},${operation}]}`;
}
