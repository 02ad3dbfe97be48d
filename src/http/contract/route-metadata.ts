import 'reflect-metadata';
import { type ExecutionContext, SetMetadata } from '@nestjs/common';
import { routeParameters } from '../internals/nest.js';
import { consumedTypes, producedTypes } from '../internals/swagger.js';

/** A method of a controller, as Nest's ExecutionContext returns it. */
export type Handler = ReturnType<ExecutionContext['getHandler']>;

/** Returns the media types that a handler reads, from its @ApiConsumes; empty if it reads no body. */
export function mediaTypesOf(handler: Handler): readonly string[] {
  return consumedTypes(handler) ?? [];
}

const JSON_ALONE = ['application/json'];

/** Returns the media types that a handler may answer, from its @ApiProduces; the default is JSON. */
export function answerTypesOf(handler: Handler): readonly string[] {
  return producedTypes(handler) ?? JSON_ALONE;
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
    const parameters = routeParameters(controller, handler.name) ?? [];
    taken = parameters.some(({ kind }) => kind === 'query');
    queryTaken.set(handler, taken);
  }
  return taken;
}
