import type { INestApplication, Type } from '@nestjs/common';
import type { OpenAPIObject } from '@nestjs/swagger';
import { ResourceController } from '../http/contract/resource-controller.js';
import { validatedParts } from '../http/contract/validated-parts.js';
import { hasRules } from '../http/internals/class-validator.js';
import {
  controllersOf,
  enhancersOf,
  isRoute,
  parameterTypes,
  routeParameters,
} from '../http/internals/nest.js';
import { PROBLEM_MEDIA_TYPE } from '../http/problems/problem.js';
import {
  type Answer,
  isJson,
  type Operation,
  operationsOf,
  routeName,
  successTypes,
} from './operations.js';
import { type AskOptions, askEveryRoute, routesOf } from './routes.js';

export interface RouteAuditOptions extends AskOptions {
  /**
   * Ignores faults of these names: routes (`GET /docs`), handlers (`ReportsController.names`) and controllers
   * (`ReportsController`).
   */
  skip?: (name: string) => boolean;
  /**
   * Returns the guards, pipes and filters that a controller must have, on the class or on every handler; by default
   * those of `@ResourceController`. Global ones of the application do not count.
   */
  enhancers?: (controller: Type) => readonly unknown[];
}

interface AuditFault {
  name: string;
  fault: string;
}

@ResourceController('reference')
class Reference {}

/** The guards and filters of `@ResourceController`. */
export const RESOURCE_ENHANCERS: readonly unknown[] = enhancersOf(Reference);

/**
 * Returns the violations of the HTTP contract by the routes of a listening application, one line each; empty if there
 * are none. Every route must be in the OpenAPI document with a success and a problem, have a DTO class with rules for
 * its body and query, have the guards of its kind, and answer in the envelope. It sends one request without a body to
 * each route, so run it on a test database.
 */
export async function auditRoutes(
  app: INestApplication,
  document: OpenAPIObject,
  { skip = () => false, enhancers = () => RESOURCE_ENHANCERS, ...asking }: RouteAuditOptions = {},
): Promise<string[]> {
  const operations = operationsOf(document);
  const documented = new Set(operations.map(routeName));
  const answered = await askEveryRoute(app, document, asking);
  const faults: AuditFault[] = [
    ...routesOf(app)
      .filter((name) => !documented.has(name))
      .map((name) => ({ name, fault: 'is not in the OpenAPI document' })),
    ...operations.flatMap(documentFaults),
    ...handlersOf(app).flatMap(parameterFaults),
    ...controllersOf(app).flatMap((controller) => guardFaults(controller, enhancers(controller))),
    ...answered.flatMap(({ operation, answer }) => answerFaults(operation, answer)),
  ];
  return faults.filter(({ name }) => !skip(name)).map(({ name, fault }) => `${name} ${fault}`);
}

function documentFaults(operation: Operation): AuditFault[] {
  const answers = Object.entries(operation.responses);
  const hasContent = (status: RegExp, type: string) =>
    answers.some(([code, { content }]) => status.test(code) && content?.[type]?.schema);
  const faults: string[] = [];
  if (!successTypes(operation).some((type) => hasContent(/^2/, type)))
    faults.push('documents no success');
  if (!hasContent(/^4/, PROBLEM_MEDIA_TYPE)) faults.push('documents no problem');
  const isKeyed = operation.parameters.some(({ name }) => name === 'Idempotency-Key');
  if (operation.method === 'post' && !isKeyed) faults.push('takes no Idempotency-Key');
  return faults.map((fault) => ({ name: routeName(operation), fault }));
}

interface Handler {
  controller: Type;
  method: string;
}

function handlersOf(app: INestApplication): Handler[] {
  return controllersOf(app).flatMap((controller) =>
    methodsOf(controller).map((method) => ({ controller, method })),
  );
}

/** Returns the names of the methods that handle routes. */
function methodsOf(controller: Type): string[] {
  const prototype = controller.prototype as Record<string, object>;
  return Object.getOwnPropertyNames(prototype).filter((name) => isRoute(prototype[name]));
}

/** A body or a query must be one parameter of a DTO class: single fields, and types that do not exist at run time, are not validated. */
function parameterFaults({ controller, method }: Handler): AuditFault[] {
  const prototype = controller.prototype as Record<string, () => void>;
  const types = parameterTypes(prototype, method);
  const validated = validatedParts(prototype[method]!).filter(({ metatype }) => hasRules(metatype));
  return (routeParameters(controller, method) ?? []).flatMap(({ kind, index, field }) => {
    const isValidated =
      validated.some(({ type }) => type === kind) || hasRules(types[index] as Type);
    if (!kind || (field === undefined && isValidated)) return [];
    const fault = `takes a ${kind} that no DTO class validates`;
    return [{ name: `${controller.name}.${method}`, fault }];
  });
}

function guardFaults(controller: Type, wanted: readonly unknown[]): AuditFault[] {
  const ofClass = enhancersOf(controller);
  const prototype = controller.prototype as Record<string, object>;
  const ofHandlers = methodsOf(controller).map((name) => enhancersOf(prototype[name]!));
  return wanted
    .filter((each) => !ofClass.includes(each) && !isInAll(ofHandlers, each))
    .map((each) => ({ name: controller.name, fault: `lacks the ${(each as Type).name}` }));
}

function isInAll(lists: unknown[][], value: unknown): boolean {
  return lists.length > 0 && lists.every((list) => list.includes(value));
}

/** Checks that an answer is a success or a problem in its envelope. */
function answerFaults(operation: Operation, { status, headers, text }: Answer): AuditFault[] {
  const types = successTypes(operation);
  const isOk = status < 300;
  if (isOk && types.length > 0 && !types.some(isJson)) return []; // a file
  const body = parsed(text);
  const inEnvelope = isOk
    ? body?.success === true && 'data' in body
    : body?.success === false && body.code !== undefined && body.requestId !== undefined;
  const faults = inEnvelope ? [] : ['answers without the envelope'];
  if (!headers.has('x-request-id')) faults.push('answers without X-Request-Id');
  return faults.map((fault) => ({ name: routeName(operation), fault }));
}

/** Parses a JSON object; undefined for anything else, because a host may answer text. */
function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
