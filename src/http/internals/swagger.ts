import 'reflect-metadata';
import type { Type } from '@nestjs/common';

/*
 * Everything that this service uses inside @nestjs/swagger@12.0.2: the keys of its metadata, to which its
 * decorators give no access. No other file uses it (test/repository/dependencies.spec.ts), and
 * test/canaries/swagger.spec.ts says when a key has changed.
 */
export const SWAGGER = {
  /** On a handler: its media types, from @ApiConsumes and @ApiProduces. */
  consumes: 'swagger/apiConsumes',
  produces: 'swagger/apiProduces',
  /** On a handler: its explicitly documented parameters, and its responses by status. */
  parameters: 'swagger/apiParameters',
  responses: 'swagger/apiResponse',
  /** On a prototype: the names of its documented properties, each after a colon. */
  properties: 'swagger/apiModelPropertiesArray',
  /** On a property: its documentation. */
  property: 'swagger/apiModelProperties',
} as const;

/** Returns the media types of a handler's @ApiConsumes; undefined if it has none. */
export function consumedTypes(handler: object): readonly string[] | undefined {
  return Reflect.getMetadata(SWAGGER.consumes, handler) as string[] | undefined;
}

/** Returns the media types of a handler's @ApiProduces; undefined if it has none. */
export function producedTypes(handler: object): readonly string[] | undefined {
  return Reflect.getMetadata(SWAGGER.produces, handler) as string[] | undefined;
}

/** Returns the documentation of one property of a DTO class, as @ApiProperty has stored it. */
export function documentedProperty(type: Type<object>, name: string): Record<string, unknown> {
  const { prototype } = type as { prototype: object };
  return (Reflect.getMetadata(SWAGGER.property, prototype, name) ?? {}) as Record<string, unknown>;
}

/** Returns the names of the documented properties of a DTO class. */
export function documentedProperties(type: Type<object>): string[] {
  const { prototype } = type as { prototype: object };
  const names = (Reflect.getMetadata(SWAGGER.properties, prototype) ?? []) as `:${string}`[];
  return names.map((name) => name.slice(1));
}

/** Documents further parameters of a handler, before the existing ones. */
export function documentParameters(handler: object, parameters: readonly object[]): void {
  const others = (Reflect.getMetadata(SWAGGER.parameters, handler) ?? []) as object[];
  Reflect.defineMetadata(SWAGGER.parameters, [...parameters, ...others], handler);
}

/** Returns the documented responses of a handler by status. Changes to them appear in the document. */
export function documentedResponses(handler: object): Record<string, { headers?: object }> {
  const responses: unknown = Reflect.getMetadata(SWAGGER.responses, handler);
  return (responses ?? {}) as Record<string, { headers?: object }>;
}
