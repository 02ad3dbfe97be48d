import type { Type } from '@nestjs/common';
import { TransformationType, type TransformFnParams } from 'class-transformer';
import { defaultMetadataStorage } from 'class-transformer/cjs/storage.js';

/*
 * Everything that this service uses inside class-transformer@0.5.1: its storage of decorators, which it does
 * not export. No other file uses it (test/repository/dependencies.spec.ts).
 */
const PLAIN_TO_CLASS = TransformationType.PLAIN_TO_CLASS;

/** Transforms one value of a plain object, like the library's own `plainToInstance`. */
export type Transform = (value: unknown, key: string, obj: object) => unknown;

/** Returns the transforms that the decorators of a property apply, in their order. */
export function transformsOf(type: Type, property: string): Transform[] {
  return defaultMetadataStorage
    .findTransformMetadatas(type, property, PLAIN_TO_CLASS)
    .map(({ transformFn }) => {
      const transform = transformFn as (params: TransformFnParams) => unknown;
      return (value, key, obj) => transform({ value, key, obj, type: PLAIN_TO_CLASS, options: {} });
    });
}
