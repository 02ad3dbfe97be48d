import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import { PARAMTYPES_METADATA, ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import type { Handler } from './route-metadata.js';

/** A part of the request that a handler takes whole, and the DTO class that it takes it as. */
export interface ValidatedPart {
  type: 'body' | 'query';
  metatype: Type<object>;
}

const VALIDATED_PARTS = 'http/validatedParts';

/** The body and the query, as far as a handler takes them: `@Body() body: WriteProjectDto`. */
export function validatedParts(handler: Handler): readonly ValidatedPart[] {
  return (Reflect.getMetadata(VALIDATED_PARTS, handler) as ValidatedPart[] | undefined) ?? [];
}

type Methods = Record<string, Handler>;
type RouteArgs = Record<string, { index: number; data?: unknown }>;

/**
 * Takes the validation of a controller's bodies and queries away from Nest's pipes. Their DTO classes
 * are noted for ValidationGuard and for the documentation, and pipes see the type Object instead. A
 * ValidationPipe that a host application has for all routes leaves an Object alone, whatever its
 * options are. It would validate an instance of a DTO class a second time, by options of its own.
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
  const others = (Reflect.getMetadata(API_PARAMETERS, handler) ?? []) as object[];
  const documented = [...parts.flatMap(documentationOf), ...others];
  Reflect.defineMetadata(VALIDATED_PARTS, parts, handler);
  Reflect.defineMetadata(API_PARAMETERS, documented, handler);
}

const PARTS: Record<string, ValidatedPart['type']> = {
  [RouteParamtypes.BODY]: 'body',
  [RouteParamtypes.QUERY]: 'query',
};

/*
 * What @nestjs/swagger itself makes of `@Body()` and `@Query()` with a DTO class, as its explicit
 * parameters. Its decorator ApiQuery cannot be used: given a class, it leaves out every enum.
 */
const API_PARAMETERS = 'swagger/apiParameters';
const MODEL_PROPERTIES = 'swagger/apiModelPropertiesArray';
const MODEL_PROPERTY = 'swagger/apiModelProperties';

function documentationOf({ type, metatype }: ValidatedPart): object[] {
  if (type === 'body') return [{ in: 'body', type: metatype, required: true }];
  const prototype = metatype.prototype as object;
  const names = (Reflect.getMetadata(MODEL_PROPERTIES, prototype) ?? []) as `:${string}`[];
  return names.map((property) => {
    const name = property.slice(1);
    const options = Reflect.getMetadata(MODEL_PROPERTY, prototype, name) as object;
    return { name, required: true, in: 'query', ...options };
  });
}
