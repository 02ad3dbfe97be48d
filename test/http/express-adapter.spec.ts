import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import {
  Body,
  type CanActivate,
  Controller,
  Get,
  Header,
  HttpCode,
  HttpException,
  Module,
  Param,
  Post,
  Query,
  Res,
  StreamableFile,
  UseGuards,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter, type NestExpressApplication } from '@nestjs/platform-express';
// What @nestjs/platform-express brings for enableCors(), without types of its own.
// eslint-disable-next-line @typescript-eslint/ban-ts-comment
// @ts-ignore
import cors from 'cors';
import express, { type Express, type Request, type Response } from 'express';
import helmet from 'helmet';
import { LeanExpressAdapter } from '../../src/http/server/express-adapter.js';

class Refusing implements CanActivate {
  canActivate(): boolean {
    return false;
  }
}

@Controller()
class Routes {
  @Get('object')
  object() {
    return { text: 'ünï', at: new Date(0), none: undefined, list: [1, null] };
  }

  @Get('array')
  array() {
    return [{ a: 1 }];
  }

  @Get('text')
  text() {
    return 'text';
  }

  @Get('nothing')
  nothing() {}

  @Get('own-type')
  @Header('Content-Type', 'application/vnd.api+json')
  ownType() {
    return { own: true };
  }

  @Get('own-json')
  toJson() {
    return { toJSON: () => undefined };
  }

  @Get('no-content')
  @HttpCode(204)
  noContent() {
    return { dropped: true };
  }

  @Get('reset')
  @HttpCode(205)
  reset() {
    return { dropped: true };
  }

  @Get('tagged')
  @Header('ETag', '"7"')
  tagged() {
    return { tagged: true };
  }

  @Get('not-modified')
  notModified(@Res({ passthrough: true }) res: Response) {
    res.status(304);
    return { dropped: true };
  }

  @Get('stream')
  stream() {
    return new StreamableFile(Buffer.from('bytes'));
  }

  @Get('express')
  byHand(@Res() res: Response) {
    res.cookie('a', 'b').vary('Accept').type('html').send('<p>by hand</p>');
  }

  @Get('broken')
  broken() {
    throw new HttpException({ reason: 'broken' }, 418);
  }

  @Get('cyclic')
  cyclic() {
    const cycle: { self?: object } = {};
    cycle.self = cycle;
    return cycle;
  }

  @Get('refused')
  @UseGuards(Refusing)
  refused() {
    return {};
  }

  @Get('echo/:id')
  echo(@Param('id') id: string, @Query() query: unknown) {
    return { id, query };
  }

  @Post('echo')
  create(@Body() body: unknown) {
    return { body };
  }
}

@Module({ controllers: [Routes] })
class Host {}

/** Adds middleware before and next to the routes, like a host. */
function furnish(app: NestExpressApplication): void {
  app.use(helmet());
  app.use(cors({ origin: 'https://example.org', credentials: true, exposedHeaders: ['ETag'] }));
  app.use(express.json({ type: 'application/vnd.host+json' }), express.urlencoded());
  app.use('/wrapped', wrapping);
  app.use('/sub', subApplication());
  app.use((req: Request, res: Response, next: () => void) => {
    res.setHeader('X-App', String(req.app === app.getHttpAdapter().getInstance()));
    res.setHeader('X-Res-App', String(res.app === req.app));
    res.setHeader('X-Same-Req', String(res.req === req && req.res === res));
    res.setHeader('X-Seen', `${req.ip} ${req.protocol} ${req.hostname} ${req.xhr} ${req.baseUrl}|`);
    res.locals.seen = true;
    next();
  });
}

/** Middleware like this compresses, logs or measures answers. */
function wrapping(_req: Request, res: Response, next: () => void): void {
  const json = res.json.bind(res);
  res.json = (body) => json({ wrapped: body as unknown });
  next();
}

/** A mounted application answers some paths and passes on the others. During this time the requests belong to it. */
function subApplication(): Express {
  const sub = express().set('json spaces', 2);
  Object.defineProperty(sub.request, 'mark', { value: 'of the sub-application' });
  const inner = express().enable('strict routing');
  inner.get('/deep', (req, res) => {
    const { baseUrl, path, originalUrl } = req;
    res.json({ ownApp: req.app === inner, mark: markOf(req), baseUrl, path, originalUrl });
  });
  sub.use('/inner', inner);
  sub.get('/', (req, res) => {
    res.json({ ownApp: req.app === sub && res.app === sub, mark: markOf(req), ip: req.ip });
  });
  sub.get('/error', () => {
    throw new Error('of the sub-application');
  });
  sub.use((req, _res, next) => {
    req.url = '/object';
    next();
  });
  return sub;
}

function markOf(req: Request): unknown {
  return (req as unknown as { mark?: unknown }).mark;
}

const SETTINGS: Record<string, (app: Express) => unknown> = {
  'as Express comes': (app) => app,
  'without what Express adds': (app) => app.set('etag', false).disable('x-powered-by'),
  'with every JSON setting': (app) =>
    app
      .set('etag', 'strong')
      .set('json spaces', 1)
      .set('json escape', true)
      .set('json replacer', (key: string, value: unknown) => (key === 'text' ? '<b>' : value)),
  'behind a proxy': (app) => app.set('etag', false).set('trust proxy', true),
  'with properties of its own': (app) =>
    Object.defineProperty(app.set('etag', false).request, 'fresh', { value: true }),
};

const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };
const JSON_TYPE = { 'Content-Type': 'application/json' };
const HOST_TYPE = { 'Content-Type': 'application/vnd.host+json' };

const REQUESTS: [string, string, Record<string, string>?, string?][] = [
  ...'object array text nothing own-type own-json no-content reset tagged not-modified'
    .split(' ')
    .flatMap((path): [string, string][] => [
      ['GET', `/${path}`],
      ['HEAD', `/${path}`],
    ]),
  ...'stream express broken cyclic refused nowhere echo/a%20b?x=1&x=2&y[z]=3 echo/%zz'
    .split(' ')
    .map((path): [string, string] => ['GET', `/${path}`]),
  ['GET', '/tagged', { 'If-None-Match': '"7"' }],
  ['GET', '/object', { 'If-None-Match': '*' }],
  ['GET', '/object', { 'X-Forwarded-For': '203.0.113.7', 'X-Forwarded-Proto': 'https' }],
  ['GET', '/object', { Origin: 'https://example.org', 'X-Requested-With': 'XMLHttpRequest' }],
  ['OPTIONS', '/object', { Origin: 'https://example.org', 'Access-Control-Request-Method': 'PUT' }],
  ['OPTIONS', '/object'],
  ['DELETE', '/object'],
  ['POST', '/echo', JSON_TYPE, '{"a":[1,"ü"]}'],
  ['POST', '/echo', JSON_TYPE, '{"a":'],
  ['POST', '/echo', HOST_TYPE, '{"a":1}'],
  ['POST', '/echo', FORM, 'a=1&b=2'],
  ['POST', '/echo'],
  ['GET', '/wrapped'],
  ['GET', '/sub'],
  ['GET', '/sub/inner/deep?x=1'],
  ['GET', '/sub/error'],
  ['GET', '/sub/handed-back'],
  ['GET', 'http://elsewhere.example/object'],
];

describe.each(Object.entries(SETTINGS))('%s', (_name, settings) => {
  let plain: Listening;
  let lean: Listening;
  beforeAll(async () => {
    [plain, lean] = await Promise.all([
      listen(ExpressAdapter, settings),
      listen(LeanExpressAdapter, settings),
    ]);
  });
  afterAll(() => Promise.all([plain.app.close(), lean.app.close()]));

  it.each(REQUESTS)('answers %s %s %j like plain Express', async (...request) => {
    const [expected, actual] = await Promise.all([
      answerOf(plain.port, request),
      answerOf(lean.port, request),
    ]);
    expect(expected).toMatch(/^HTTP\/1\.1 \d{3} /);
    expect(actual).toBe(expected);
  });
});

it('the adapter separates two applications in one process, also when one is mounted in the other', async () => {
  const [outer, inner] = await Promise.all([
    listen(LeanExpressAdapter, (app) => app.set('etag', false)),
    listen(LeanExpressAdapter, (app) => app.set('etag', false)),
  ]);
  try {
    const parent = express();
    parent.use('/mounted', inner.app.getHttpAdapter().getInstance());
    parent.use(outer.app.getHttpAdapter().getInstance());
    const server = parent.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const answers = await Promise.all(
      ['/mounted/object', '/object', '/mounted/sub/handed-back'].map((path) =>
        answerOf(port, ['GET', path]),
      ),
    );
    await new Promise((resolve) => server.close(resolve));
    expect(answers.map((answer) => Number(answer.split(' ')[1]))).toEqual([200, 200, 404]);
    expect(answers.filter((answer) => answer.includes('x-app: true'))).toHaveLength(3);
    const [one, other] = await Promise.all(
      [outer, inner].map(({ port }) => answerOf(port, ['GET', '/object'])),
    );
    expect(one).toContain('x-app: true');
    expect(other).toBe(one);
  } finally {
    await Promise.all([outer.app.close(), inner.app.close()]);
  }
});

it('the adapter leaves Express nothing to set on a request', async () => {
  const { app, port } = await listen(LeanExpressAdapter, (app) => app);
  const made: object[] = [];
  app.getHttpServer().prependListener('request', (req: object, res: object) => {
    made.push(Object.getPrototypeOf(req) as object, Object.getPrototypeOf(res) as object);
  });
  await answerOf(port, ['GET', '/object']);
  const { request, response } = app.getHttpAdapter().getInstance();
  expect(made).toEqual([request, response]);
  await app.close();
});

interface Listening {
  app: NestExpressApplication;
  port: number;
}

async function listen(
  Adapter: new (app: Express) => ExpressAdapter,
  settings: (app: Express) => unknown,
): Promise<Listening> {
  const instance = express();
  settings(instance);
  const app = await NestFactory.create<NestExpressApplication>(Host, new Adapter(instance), {
    logger: false,
    forceCloseConnections: true,
  });
  furnish(app);
  await app.listen(0, '127.0.0.1');
  return { app, port: (app.getHttpServer().address() as AddressInfo).port };
}

/** Returns the complete answer, without the date and the parts that depend on the port. */
async function answerOf(
  port: number,
  [method, target, headers = {}, body = '']: (typeof REQUESTS)[number],
): Promise<string> {
  const lines = Object.entries({
    Host: 'service.example',
    Connection: 'close',
    'Content-Length': Buffer.byteLength(body),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  const socket = connect(port, '127.0.0.1');
  socket.end(`${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n${body}`);
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks)
    .toString()
    .replace(/^Date: .*\r\n/m, '')
    .replace(/^X-[\w-]+/gim, (name) => name.toLowerCase());
}
