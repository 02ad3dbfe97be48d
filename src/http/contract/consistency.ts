import 'reflect-metadata';
import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
  SetMetadata,
  UseInterceptors,
} from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { ApiHeader } from '@nestjs/swagger';
import type { Response } from 'express';
import { mergeMap, type Observable } from 'rxjs';
import type { Db } from '../../db/connection.js';
import { replicasOf } from '../../db/replicas/replicas.js';
import { CONSISTENCY_TOKEN } from '../answers/consistency-token.js';
import type { Success } from '../answers/envelope.js';
import { type ControllerClass, isGet, isRoute } from '../internals/nest.js';
import { documentedResponses } from '../internals/swagger.js';

const DATABASE = 'http/database';
const DECORATED = 'http/consistency';
const ONE_WRITE = 'http/one-write';

/** Sets the injection token of the database that the routes of a controller write to. */
export const WritesTo = (database: symbol) => SetMetadata(DATABASE, database);

/**
 * Declares that the route makes a single write, or one transaction, and answers its result. Its token then needs no
 * statement of its own. A route that overrides it is not concerned, because it may write more.
 */
export const AnswersOneWrite = () => SetMetadata(ONE_WRITE, true);

/**
 * Adds X-Consistency-Token to the answer of a write if its database has replicas. The token is read
 * after the commit. Without replicas the cost is one lookup in a map.
 */
@Injectable()
class ConsistencyTokenInterceptor implements NestInterceptor {
  readonly #databases = new Map<object, Db | undefined>();

  constructor(private readonly modules: ModuleRef) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const database = this.#databaseOf(context.getClass());
    const replicas = database && replicasOf(database);
    if (!replicas) return next.handle();
    const res = context.switchToHttp().getResponse<Response>();
    const isOneWrite = Reflect.hasMetadata(ONE_WRITE, context.getHandler());
    return next.handle().pipe(
      mergeMap(async (answer: unknown) => {
        const results = isOneWrite
          ? [answer, (answer as Partial<Success<unknown>> | undefined)?.data]
          : [];
        res.setHeader(CONSISTENCY_TOKEN, await replicas.written(...results));
        return answer;
      }),
    );
  }

  #databaseOf(controller: object): Db | undefined {
    if (!this.#databases.has(controller)) {
      const token = Reflect.getMetadata(DATABASE, controller) as symbol | undefined;
      this.#databases.set(controller, token && this.modules.get<Db>(token, { strict: false }));
    }
    return this.#databases.get(controller);
  }
}

/**
 * Makes a write answer a consistency token, documents that a read accepts one, and does nothing if it
 * is applied a second time.
 */
export function Consistency(): MethodDecorator {
  return (target, key, descriptor: PropertyDescriptor) => {
    const handler = descriptor.value as object;
    if (Reflect.hasMetadata(DECORATED, handler)) return;
    Reflect.defineMetadata(DECORATED, true, handler);
    if (isGet(handler)) {
      TAKES_TOKEN(target, key, descriptor);
    } else {
      UseInterceptors(ConsistencyTokenInterceptor)(target, key, descriptor);
      documentToken(handler);
    }
  };
}

const TAKES_TOKEN = ApiHeader({
  name: CONSISTENCY_TOKEN,
  required: false,
  description:
    'The consistency token of a write. The answer then contains that write and all earlier ones.',
});

/** Adds the header to each success that the route documents. */
function documentToken(handler: object): void {
  const reference = { $ref: `#/components/headers/${CONSISTENCY_TOKEN}` };
  for (const [status, response] of Object.entries(documentedResponses(handler))) {
    if (status.startsWith('2')) {
      response.headers = { ...response.headers, [CONSISTENCY_TOKEN]: reference };
    }
  }
}

/** Applies `Consistency` to every route of a controller. */
export function consistent(controller: ControllerClass): void {
  const routes = controller.prototype as object;
  for (const name of Object.getOwnPropertyNames(routes)) {
    const descriptor = Object.getOwnPropertyDescriptor(routes, name)!;
    if (isRoute(descriptor.value)) Consistency()(routes, name, descriptor);
  }
}
