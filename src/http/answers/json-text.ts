import type { Response } from 'express';
import { settingsOf } from '../internals/express.js';
import type { Success } from './envelope.js';

/** The `data` of an answer that is already serialized as JSON. */
class JsonText {
  constructor(readonly text: string) {}

  toJSON(): unknown {
    return JSON.parse(this.text);
  }
}

const SETTING = 'json text';

/** Declares that the application sends its answers with an adapter that accepts JsonText as `data`. */
export function allowJsonText(app: { set(name: string, value: unknown): unknown }): void {
  app.set(SETTING, true);
}

/**
 * Returns the JSON text itself where the application can send it unchanged, otherwise its value: an
 * interceptor of a host application expects values.
 */
export function jsonData<T>(res: Response, json: string, value: () => T): T {
  return settingsOf(res.app)[SETTING] ? (new JsonText(json) as T) : value();
}

/** Serializes the body of an answer; a `data` that is JSON already is not parsed again. */
export function jsonOf(body: object): string | undefined {
  const { data, meta } = body as Partial<Success<unknown, unknown>>;
  if (!(data instanceof JsonText)) return JSON.stringify(body);
  const rest = meta === undefined ? '' : `,"meta":${JSON.stringify(meta)}`;
  return `{"success":true,"data":${data.text}${rest}}`;
}
