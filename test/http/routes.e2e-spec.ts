import { Body, Controller, Get, Module, Post, Query } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import {
  type ClientProxy,
  ClientProxyFactory,
  MessagePattern,
  Transport,
} from '@nestjs/microservices';
import { ApiConsumes, ApiExcludeEndpoint, ApiProperty } from '@nestjs/swagger';
import { Test } from '@nestjs/testing';
import { AppModule } from '../../src/app.module.js';
import { validateEnvironment } from '../../src/config/validate-environment.js';
import { createOpenApiDocument } from '../../src/openapi.js';
import { ResourceController } from '../../src/http/contract/resource-controller.js';
import { ApiResourceProblems, ApiSuccess } from '../../src/http/contract/api-answers.js';
import { type Success, success } from '../../src/http/answers/envelope.js';
import { HealthController } from '../../src/health/health.controller.js';
import { HealthDto } from '../../src/health/health.dto.js';
import { RequestGuard } from '../../src/http/contract/request.guard.js';
import { ProblemFilter } from '../../src/http/contract/problem.filter.js';
import {
  auditRoutes,
  operationsOf,
  RESOURCE_ENHANCERS,
  type RouteAuditOptions,
  routesOf,
} from '../../src/testing/index.js';
import { apiKey } from '../support/api-key.js';
import { ask, auditMessages, patternsOf } from '../support/message-audit.js';
import { freePort } from '../support/free-port.js';
import { startService, type TestService } from '../support/service.js';

const AUDIT: RouteAuditOptions = {
  skip: (name) => /^GET \/docs(\/|$)/.test(name),
  // Health checks are not resources, and accept neither body nor query.
  enhancers: (controller) =>
    controller === HealthController ? [RequestGuard, ProblemFilter] : RESOURCE_ENHANCERS,
};

let service: TestService;
beforeAll(async () => (service = await startService()));
afterAll(() => service.close());

describe('every route', () => {
  it('is documented, validated, guarded and answers with the envelope', async () => {
    expect(routesOf(service.app)).toContain('PATCH /api/projects/{id}');
    expect(await auditRoutes(service.app, createOpenApiDocument(service.app), AUDIT)).toEqual([]);
  });

  it('is reported by the audit when it breaks a rule', async () => {
    const environment = validateEnvironment({
      DATABASE_URL: service.database.url,
      LOG_LEVEL: 'fatal',
    });
    const testing = await Test.createTestingModule({
      imports: [AppModule.forRoot(environment), CarelessModule],
    }).compile();
    const app = testing.createNestApplication<NestExpressApplication>();
    await app.listen(0, '127.0.0.1');
    try {
      const faults = await auditRoutes(app, createOpenApiDocument(app), AUDIT);
      expect(faults.filter((fault) => !fault.includes('X-Request-Id')).sort()).toEqual([
        'BareController lacks the BodyGuard',
        'BareController lacks the ProblemFilter',
        'BareController lacks the RequestGuard',
        'BareController lacks the ValidationGuard',
        'GET /api/bare answers without the envelope',
        'GET /api/bare documents no problem',
        'GET /api/bare documents no success',
        'GET /api/bare/hidden is not in the OpenAPI document',
        'LooseController.create takes a body that no DTO class validates',
        'LooseController.replace takes a body that no DTO class validates',
        'LooseController.search takes a query that no DTO class validates',
        'POST /api/loose takes no Idempotency-Key',
        'POST /api/loose/replace takes no Idempotency-Key',
      ]);
      expect(faults).toContain('GET /api/bare answers without X-Request-Id');
    } finally {
      await app.close();
    }
  });
});

describe('every message pattern', () => {
  const key = apiKey('mesh', 'read+write');
  const closes: (() => unknown)[] = [];
  afterAll(async () => {
    for (const close of closes.reverse()) await close();
  });

  function clientOf(port: number): ClientProxy {
    const options = { host: '127.0.0.1', port };
    const client = ClientProxyFactory.create({ transport: Transport.TCP, options });
    closes.push(() => client.close());
    return client;
  }

  it('is guarded, validated and answers failures as problems', async () => {
    const port = await freePort();
    const started = await startService({
      AUTH_MODE: 'api-key',
      AUTH_API_KEYS: key.entry,
      MESH_TRANSPORT: 'tcp',
      MESH_URL: `tcp://127.0.0.1:${port}`,
    });
    closes.push(() => started.close());
    const patterns = patternsOf(started.app);
    const json = operationsOf(createOpenApiDocument(started.app))
      .filter(({ path }) => /^\/api\/(projects|technologies)\b/.test(path)) // the others use only HTTP
      .filter(({ path }) => !/(import|export)$/.test(path))
      .map(({ operationId }) => operationId);
    expect(patterns).toHaveLength(json.length);
    expect(await auditMessages(patterns, clientOf(port), key.key)).toEqual([]);
  });

  it('is reported by the audit when it breaks a rule, and ours are guarded also without inheritAppConfig', async () => {
    const environment = validateEnvironment({
      DATABASE_URL: service.database.url,
      LOG_LEVEL: 'fatal',
      AUTH_MODE: 'api-key',
      AUTH_API_KEYS: key.entry,
      MESH_TRANSPORT: 'tcp',
      MESH_URL: 'tcp://127.0.0.1:1', // connected by hand below
    });
    const testing = await Test.createTestingModule({
      imports: [AppModule.forRoot(environment), CarelessMessagesModule],
    }).compile();
    const app = testing.createNestApplication<NestExpressApplication>();
    closes.push(() => app.close());
    const [port, guardedPort] = [await freePort(), await freePort()];
    const tcp = (own: number) =>
      ({ transport: Transport.TCP, options: { host: '127.0.0.1', port: own } }) as const;
    app.connectMicroservice(tcp(port));
    app.connectMicroservice(tcp(guardedPort), { inheritAppConfig: true });
    await app.startAllMicroservices();
    const patterns = [...new Set(patternsOf(app))];
    expect(patterns).toContain('careless');
    // A global guard does not run here.
    expect(await auditMessages(patterns, clientOf(port), key.key)).toEqual([
      'careless answers without a token',
      'careless takes unknown fields',
      'careless takes what cannot be stored',
      'careless fails without a problem',
    ]);
    expect(CarelessMessages.answered).toBe(3);
    // Here it runs.
    const refused = { status: 'error', message: 'Internal server error' };
    expect(await ask(clientOf(guardedPort), 'careless', {})).toMatchObject(refused);
    expect(CarelessMessages.answered).toBe(3);
  });
});

/** A controller that breaks all rules of the contract. */
@Controller('api/bare')
class BareController {
  @Get()
  list(): string[] {
    return [];
  }

  @Get('hidden')
  @ApiExcludeEndpoint()
  hidden(): Success<null> {
    return success(null);
  }
}

class UncheckedDto {
  @ApiProperty()
  name!: string;
}

/** A controller that follows all rules except the validation. */
@ResourceController('api/loose')
class LooseController {
  @Get()
  @ApiSuccess(200, { description: 'Anything.', data: HealthDto })
  @ApiResourceProblems()
  search(@Query('q') _q: string): Success<HealthDto> {
    return success({ status: 'up' });
  }

  @Post()
  @ApiConsumes('application/json')
  @ApiSuccess(201, { description: 'Anything.', data: HealthDto })
  @ApiResourceProblems()
  create(@Body() _body: UncheckedDto): Success<HealthDto> {
    return success({ status: 'up' });
  }

  @Post('replace')
  @ApiConsumes('application/json')
  @ApiSuccess(201, { description: 'Anything.', data: HealthDto })
  @ApiResourceProblems()
  replace(@Body() _body: Partial<UncheckedDto>): Success<HealthDto> {
    return success({ status: 'up' });
  }
}

@Module({ controllers: [BareController, LooseController] })
class CarelessModule {}

@Controller()
class CarelessMessages {
  static answered = 0;

  @MessagePattern('careless')
  answer(): object {
    CarelessMessages.answered++;
    return {};
  }
}

@Module({ controllers: [CarelessMessages] })
class CarelessMessagesModule {}
