import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import {
  type ControllerClass,
  parameterTypes,
  type PartKind,
  type RouteParameter,
  routeParameters,
  setParameterTypes,
} from '../internals/nest.js';
import {
  documentedProperties,
  documentedProperty,
  documentParameters,
} from '../internals/swagger.js';
import type { Handler } from './route-metadata.js';

/** The body or the query of a request, and the DTO class that the handler declares for it. */
export interface ValidatedPart {
  type: PartKind;
  metatype: Type<object>;
}

const VALIDATED_PARTS = 'http/validatedParts';

/** Returns the body and the query parameters that a handler declares, such as `@Body() body: SkillInput`. */
export function validatedParts(handler: Handler): readonly ValidatedPart[] {
  return (Reflect.getMetadata(VALIDATED_PARTS, handler) as ValidatedPart[] | undefined) ?? [];
}

type Methods = Record<string, Handler>;

/**
 * Moves the validation of a controller's bodies and queries from Nest's pipes to ValidationGuard. The
 * DTO classes are recorded for the guard and for the documentation, and pipes see the type Object. A
 * global ValidationPipe of a host application ignores an Object, whatever its options are; it would
 * validate an instance of a DTO class a second time with its own options. A second call does nothing.
 */
export function takeOverValidation(controller: ControllerClass): void {
  const methods = controller.prototype as Methods;
  for (const name of Object.getOwnPropertyNames(methods)) {
    const parameters = routeParameters(controller, name);
    if (parameters && !Reflect.hasMetadata(VALIDATED_PARTS, methods[name]!))
      takeOverMethod(methods, name, parameters);
  }
}

function takeOverMethod(methods: Methods, name: string, parameters: RouteParameter[]): void {
  const types = [...parameterTypes(methods, name)];
  const parts: ValidatedPart[] = [];
  for (const { kind, index, field } of parameters) {
    if (!kind || field !== undefined) continue;
    parts.push({ type: kind, metatype: types[index]! });
    types[index] = Object;
  }
  if (parts.length === 0) return;
  const handler = methods[name]!;
  setParameterTypes(methods, name, types);
  Reflect.defineMetadata(VALIDATED_PARTS, parts, handler);
  documentParameters(handler, parts.flatMap(documentationOf));
}

/*
 * The metadata that @nestjs/swagger derives from `@Body()` and `@Query()` with a DTO class, written as
 * explicit parameters. Its decorator ApiQuery cannot be used: it leaves out every enum of a class.
 */
function documentationOf({ type, metatype }: ValidatedPart): object[] {
  if (type === 'body') return [{ in: 'body', type: metatype, required: true }];
  return documentedProperties(metatype).map((name) => ({
    name,
    required: true,
    in: 'query',
    ...documentedProperty(metatype, name),
  }));
}
