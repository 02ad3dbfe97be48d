import 'reflect-metadata';
import { type INestApplication, RequestMethod, type Type } from '@nestjs/common';
import {
  EXCEPTION_FILTERS_METADATA,
  GUARDS_METADATA,
  METHOD_METADATA,
  PARAMTYPES_METADATA,
  PIPES_METADATA,
  ROUTE_ARGS_METADATA,
} from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import { ModulesContainer } from '@nestjs/core';
import type { ExpressAdapter } from '@nestjs/platform-express';

/*
 * Everything that this service uses inside @nestjs/common@12.5.1, @nestjs/core@12.5.1 and
 * @nestjs/platform-express@12.5.1 and that their documentation does not promise. No other file uses it
 * (test/repository/dependencies.spec.ts). Read this file before an upgrade.
 */

/** A class with the methods that handle routes. */
export interface ControllerClass {
  readonly prototype: unknown;
}

/** The part of the request that a parameter of a handler receives: `@Body()`, `@Query()`. */
export type PartKind = 'body' | 'query';

export interface RouteParameter {
  /** Undefined for another decorator, such as `@Req()`. */
  kind: PartKind | undefined;
  /** The position among the parameters of the method. */
  index: number;
  /** The name of a single field, as in `@Query('limit')`; undefined if the parameter takes all. */
  field: unknown;
}

const KINDS: Record<string, PartKind> = {
  [RouteParamtypes.BODY]: 'body',
  [RouteParamtypes.QUERY]: 'query',
};

/** 1. The decorated parameters of a method, from the metadata of decorators such as `@Body()` and `@Query()`. */
export function routeParameters(
  controller: object,
  method: string | symbol,
): RouteParameter[] | undefined {
  const args = Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, method) as
    Record<string, { index: number; data?: unknown }> | undefined;
  return (
    args &&
    Object.entries(args).map(([key, { index, data }]) => ({
      kind: KINDS[key.split(':', 1)[0]!], // the key consists of the kind and the index, such as `3:0`
      index,
      field: data,
    }))
  );
}

/**
 * 2. The classes of a method's parameters, which TypeScript emits, and which Nest's pipes and @nestjs/swagger read.
 */
export function parameterTypes(prototype: object, method: string | symbol): Type<object>[] {
  return (Reflect.getMetadata(PARAMTYPES_METADATA, prototype, method) ?? []) as Type<object>[];
}

export function setParameterTypes(
  prototype: object,
  method: string | symbol,
  types: readonly unknown[],
): void {
  Reflect.defineMetadata(PARAMTYPES_METADATA, types, prototype, method);
}

/** 3. True if a method handles a route. */
export function isRoute(method: unknown): boolean {
  return typeof method === 'function' && Reflect.hasMetadata(METHOD_METADATA, method);
}

/** True if a method handles GET. */
export function isGet(method: object): boolean {
  return Reflect.getMetadata(METHOD_METADATA, method) === RequestMethod.GET;
}

/** 4. The guards, pipes and filters of a class or of a single method. */
export function enhancersOf(target: object): unknown[] {
  return [GUARDS_METADATA, PIPES_METADATA, EXCEPTION_FILTERS_METADATA].flatMap(
    (key) => (Reflect.getMetadata(key, target) ?? []) as unknown[],
  );
}

/** 5. The modules of the application. The class is exported, but its contents are not documented. */
export { ModulesContainer };

/** Returns how often the application has imported a module, with different options. */
export function countImports(modules: ModulesContainer, module: Type): number {
  return [...modules.values()].filter(({ metatype }) => metatype === module).length;
}

export function controllersOf(app: INestApplication): Type[] {
  return [...app.get(ModulesContainer).values()]
    .flatMap(({ controllers }) => [...controllers.values()])
    .map(({ metatype }) => metatype as Type);
}

/** 6. A private method of the Express adapter, which makes `close` disconnect the open connections. */
export function cutConnectionsAtClose(adapter: ExpressAdapter): void {
  (adapter as unknown as { trackOpenConnections(): void }).trackOpenConnections();
}
