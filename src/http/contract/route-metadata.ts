import 'reflect-metadata';
import { type ExecutionContext, SetMetadata } from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';
import { SWAGGER } from './swagger-metadata.js';

/** A controller's method, as Nest's ExecutionContext returns it. */
export type Handler = ReturnType<ExecutionContext['getHandler']>;

/** Returns the media types that a handler reads, from its @ApiConsumes; empty if it reads no body. */
export function mediaTypesOf(handler: Handler): readonly string[] {
  return (Reflect.getMetadata(SWAGGER.consumes, handler) as string[] | undefined) ?? [];
}

const JSON_ALONE = ['application/json'];

/** Returns the media types that a handler may answer, from its @ApiProduces; the default is JSON. */
export function answerTypesOf(handler: Handler): readonly string[] {
  return (Reflect.getMetadata(SWAGGER.produces, handler) as string[] | undefined) ?? JSON_ALONE;
}

const STREAMED_BODY = 'http/streamedBody';

/** Marks a handler that streams its body itself (http/streams/body-stream.ts); guards do not read that body. */
export function StreamedBody(): MethodDecorator {
  return SetMetadata(STREAMED_BODY, true);
}

export function readsBodyItself(handler: Handler): boolean {
  return Reflect.hasMetadata(STREAMED_BODY, handler);
}

const queryTaken = new WeakMap<Handler, boolean>();

/** True if a handler declares query parameters, which its DTO validates. */
export function acceptsQuery(controller: object, handler: Handler): boolean {
  let taken = queryTaken.get(handler);
  if (taken === undefined) {
    const args = (Reflect.getMetadata(ROUTE_ARGS_METADATA, controller, handler.name) ??
      {}) as object;
    taken = Object.keys(args).some((key) => key.startsWith(`${RouteParamtypes.QUERY}:`));
    queryTaken.set(handler, taken);
  }
  return taken;
}
