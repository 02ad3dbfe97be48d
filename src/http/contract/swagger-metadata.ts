import 'reflect-metadata';
import type { Type } from '@nestjs/common';

/**
 * Every metadata key of @nestjs/swagger 12.0 that is read or written here: its decorators do not give
 * access to them. test/canaries/swagger.spec.ts says when one has changed.
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

/** The documentation of one property of a DTO class, as @ApiProperty was given it. */
export function documentedProperty(type: Type<object>, name: string): Record<string, unknown> {
  const { prototype } = type as { prototype: object };
  return (Reflect.getMetadata(SWAGGER.property, prototype, name) ?? {}) as Record<string, unknown>;
}
