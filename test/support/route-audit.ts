import type { NestExpressApplication } from '@nestjs/platform-express';
import type { OpenAPIObject } from '@nestjs/swagger';
import {
  EXCEPTION_FILTERS_METADATA,
  GUARDS_METADATA,
  METHOD_METADATA,
  PIPES_METADATA,
  ROUTE_ARGS_METADATA,
} from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import { ModulesContainer } from '@nestjs/core';
import { getMetadataStorage } from 'class-validator';
import { PROBLEM_MEDIA_TYPE } from '../../src/http/problems/problem.js';
import { ProblemFilter } from '../../src/http/problems/problem.filter.js';
import { RequestGuard } from '../../src/http/contract/request.guard.js';
import { ResourceController } from '../../src/http/contract/resource-controller.js';
import { validatedParts } from '../../src/http/contract/validated-parts.js';
import { isJson, operationsOf, type Operation } from './contract.js';

interface Layer {
  route?: { path: string; methods: Record<string, boolean> };
}

/** What a route of a listening application lacks of the HTTP contract, a line each; none when all keep it. */
export async function auditRoutes(
  app: NestExpressApplication,
  document: OpenAPIObject,
): Promise<string[]> {
  const operations = operationsOf(document);
  const url = await app.getUrl();
  return [
    ...routesOf(app)
      .filter((route) => !operations.some((operation) => nameOf(operation) === route))
      .map((route) => `${route} is not in the OpenAPI document`),
    ...operations.flatMap(documentFaults),
    ...handlersOf(app).flatMap(parameterFaults),
    ...controllersOf(app).flatMap(guardFaults),
    ...(await Promise.all(operations.map((operation) => answerFaults(url, operation)))).flat(),
  ];
}

function nameOf({ method, path }: { method: string; path: string }): string {
  return `${method.toUpperCase()} ${path}`;
}

/** As Express has them, the ones that no controller declares included; the Swagger UI's own aside. */
export function routesOf(app: NestExpressApplication): string[] {
  const { stack } = (app.getHttpAdapter().getInstance() as { router: { stack: Layer[] } }).router;
  return stack
    .flatMap(({ route }) => route ?? [])
    .filter(({ path }) => !/^\/docs(\/|$)/.test(path))
    .flatMap(({ path, methods }) =>
      Object.keys(methods).map((method) =>
        nameOf({ method, path: path.replace(/:(\w+)/g, '{$1}') }),
      ),
    );
}

function documentFaults(operation: Operation): string[] {
  const answers = Object.entries(operation.responses);
  const hasContent = (status: RegExp, type: string) =>
    answers.some(([code, { content }]) => status.test(code) && content?.[type]?.schema);
  const faults: string[] = [];
  if (!typesOf(operation).some((type) => hasContent(/^2/, type)))
    faults.push('documents no success');
  if (!hasContent(/^4/, PROBLEM_MEDIA_TYPE)) faults.push('documents no problem');
  const isKeyed = operation.parameters.some(({ name }) => name === 'Idempotency-Key');
  if (operation.method === 'post' && !isKeyed) faults.push('takes no Idempotency-Key');
  return faults.map((fault) => `${nameOf(operation)} ${fault}`);
}

type Controller = new (...args: never[]) => unknown;

function controllersOf(app: NestExpressApplication): Controller[] {
  return [...app.get(ModulesContainer).values()]
    .flatMap(({ controllers }) => [...controllers.values()])
    .map(({ metatype }) => metatype as Controller);
}

interface Handler {
  controller: Controller;
  name: string;
}

function handlersOf(app: NestExpressApplication): Handler[] {
  return controllersOf(app).flatMap((controller) => {
    const { prototype } = controller as { prototype: Record<string, object> };
    return Object.getOwnPropertyNames(prototype)
      .filter((name) => Reflect.hasMetadata(METHOD_METADATA, prototype[name]!))
      .map((name) => ({ controller, name }));
  });
}

/** A body or a query is one parameter of a DTO class: parts of it, and types that are gone at run time, are not validated. */
function parameterFaults({ controller, name }: Handler): string[] {
  const parameters = (Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, name) ?? {}) as Record<
    string,
    { data?: unknown }
  >;
  const handler = (controller.prototype as Record<string, () => void>)[name]!;
  const validated = validatedParts(handler).filter(({ metatype }) => hasRules(metatype));
  return Object.entries(parameters).flatMap(([key, { data }]) => {
    const kind = KINDS[key.split(':', 1)[0]!];
    if (!kind || (data === undefined && validated.some(({ type }) => type === kind))) return [];
    return [`${controller.name}.${name} takes a ${kind} that no DTO class validates`];
  });
}

const KINDS: Record<string, 'body' | 'query'> = {
  [RouteParamtypes.BODY]: 'body',
  [RouteParamtypes.QUERY]: 'query',
};

function hasRules(type: Controller): boolean {
  return getMetadataStorage().getTargetValidationMetadatas(type, '', false, false).length > 0;
}

@ResourceController('reference')
class Reference {}

/** What @ResourceController gives; health checks are no resources, and take neither body nor query. */
function guardFaults(controller: Controller): string[] {
  const given = guardsOf(controller);
  const isHealth = controller.name === 'HealthController';
  return guardsOf(Reference)
    .filter((guard) => !isHealth || [RequestGuard, ProblemFilter].includes(guard as never))
    .filter((guard) => !given.includes(guard))
    .map(({ name }) => `${controller.name} lacks the ${name} of @ResourceController`);
}

function guardsOf(controller: Controller): Controller[] {
  return [GUARDS_METADATA, PIPES_METADATA, EXCEPTION_FILTERS_METADATA].flatMap(
    (key) => (Reflect.getMetadata(key, controller) ?? []) as Controller[],
  );
}

/** The media types of its success. */
function typesOf({ responses }: Operation): string[] {
  return Object.entries(responses).flatMap(([status, { content }]) =>
    status.startsWith('2') ? Object.keys(content ?? {}) : [],
  );
}

/** A request without a body to an id that is not there: a success or a problem, in its envelope. */
async function answerFaults(url: string, operation: Operation): Promise<string[]> {
  const path = operation.path.replace(/\{\w+\}/g, '00000000-0000-4000-8000-000000000000');
  const response = await fetch(url + path, { method: operation.method.toUpperCase() });
  const text = await response.text();
  const types = typesOf(operation);
  if (response.ok && types.length > 0 && !types.some(isJson)) return []; // a file
  const body = JSON.parse(text || 'null') as Record<string, unknown> | null;
  const inEnvelope = response.ok
    ? body?.success === true && 'data' in body
    : body?.success === false && body.code !== undefined && body.requestId !== undefined;
  const faults = inEnvelope ? [] : ['answers without the envelope'];
  if (!response.headers.has('x-request-id')) faults.push('answers without X-Request-Id');
  return faults.map((fault) => `${nameOf(operation)} ${fault}`);
}
