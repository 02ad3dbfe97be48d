import 'reflect-metadata';
import { type ExecutionContext, SetMetadata } from '@nestjs/common';
import { ROUTE_ARGS_METADATA } from '@nestjs/common/constants.js';
import { RouteParamtypes } from '@nestjs/common/enums/route-paramtypes.enum.js';

/** A controller's method, as Nest's ExecutionContext hands it out. */
export type Handler = ReturnType<ExecutionContext['getHandler']>;

/** What @ApiConsumes writes, so that what a route reads and what its documentation says are one fact. */
const API_CONSUMES = 'swagger/apiConsumes';

/** The media types that a handler reads, by its @ApiConsumes; none for one without a body. */
export function mediaTypesOf(handler: Handler): readonly string[] {
  return (Reflect.getMetadata(API_CONSUMES, handler) as string[] | undefined) ?? [];
}

const API_PRODUCES = 'swagger/apiProduces';
const JSON_ALONE = ['application/json'];

/** The media types that a handler may answer, by its @ApiProduces; JSON for one that does not say. */
export function answerTypesOf(handler: Handler): readonly string[] {
  return (Reflect.getMetadata(API_PRODUCES, handler) as string[] | undefined) ?? JSON_ALONE;
}

const STREAMED_BODY = 'http/streamedBody';

/** For a handler that reads its body itself, as it arrives (http/streams/body-stream.ts): none of it is looked at before. */
export function StreamedBody(): MethodDecorator {
  return SetMetadata(STREAMED_BODY, true);
}

export function readsBodyItself(handler: Handler): boolean {
  return Reflect.hasMetadata(STREAMED_BODY, handler);
}

const queryTaken = new WeakMap<Handler, boolean>();

/** Whether a handler declares query parameters; one that does validates them by its DTO. */
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
