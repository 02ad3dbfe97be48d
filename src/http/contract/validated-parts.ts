import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import { PARAMTYPES_METADATA, ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import type { Handler } from './route-metadata.js';
import { documentedProperty, SWAGGER } from './swagger-metadata.js';

/** The body or the query of a request, and the DTO class that the handler declares for it. */
export interface ValidatedPart {
  type: 'body' | 'query';
  metatype: Type<object>;
}

const VALIDATED_PARTS = 'http/validatedParts';

/** Returns the body and the query parameters that a handler declares, such as `@Body() body: WriteProjectDto`. */
export function validatedParts(handler: Handler): readonly ValidatedPart[] {
  return (Reflect.getMetadata(VALIDATED_PARTS, handler) as ValidatedPart[] | undefined) ?? [];
}

type Methods = Record<string, Handler>;
type RouteArgs = Record<string, { index: number; data?: unknown }>;

/**
 * Moves the validation of a controller's bodies and queries from Nest's pipes to ValidationGuard. The
 * DTO classes are recorded for the guard and for the documentation, and pipes see the type Object. A
 * global ValidationPipe of a host application ignores an Object, whatever its options are; it would
 * validate an instance of a DTO class a second time with its own options.
 */
export function takeOverValidation(controller: { readonly prototype: unknown }): void {
  const methods = controller.prototype as Methods;
  for (const name of Object.getOwnPropertyNames(methods)) {
    const args = Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, name) as
      RouteArgs | undefined;
    if (args) takeOverMethod(methods, name, args);
  }
}

function takeOverMethod(methods: Methods, name: string, args: RouteArgs): void {
  const types = Reflect.getMetadata(PARAMTYPES_METADATA, methods, name) as Type<object>[];
  const parts: ValidatedPart[] = [];
  for (const [key, { index, data }] of Object.entries(args)) {
    const type = PARTS[key.split(':', 1)[0]!];
    if (!type || data !== undefined) continue;
    parts.push({ type, metatype: types[index]! });
    types[index] = Object;
  }
  if (parts.length === 0) return;
  const handler = methods[name]!;
  const others = (Reflect.getMetadata(SWAGGER.parameters, handler) ?? []) as object[];
  const documented = [...parts.flatMap(documentationOf), ...others];
  Reflect.defineMetadata(VALIDATED_PARTS, parts, handler);
  Reflect.defineMetadata(SWAGGER.parameters, documented, handler);
}

const PARTS: Record<string, ValidatedPart['type']> = {
  [RouteParamtypes.BODY]: 'body',
  [RouteParamtypes.QUERY]: 'query',
};

/*
 * The metadata that @nestjs/swagger derives from `@Body()` and `@Query()` with a DTO class, written as
 * explicit parameters. Its decorator ApiQuery cannot be used: it leaves out every enum of a class.
 */
function documentationOf({ type, metatype }: ValidatedPart): object[] {
  if (type === 'body') return [{ in: 'body', type: metatype, required: true }];
  const prototype = metatype.prototype as object;
  const names = (Reflect.getMetadata(SWAGGER.properties, prototype) ?? []) as `:${string}`[];
  return names.map((property) => {
    const name = property.slice(1);
    return { name, required: true, in: 'query', ...documentedProperty(metatype, name) };
  });
}
