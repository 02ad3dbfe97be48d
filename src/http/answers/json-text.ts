import type { Response } from 'express';
import type { Success } from './envelope.js';

/** `data` of an answer that is JSON already. */
class JsonText {
  constructor(readonly text: string) {}

  toJSON(): unknown {
    return JSON.parse(this.text);
  }
}

const SETTING = 'json text';

/** Says of an application that what sends its answers takes JsonText for `data`. */
export function allowJsonText(app: { set(name: string, value: unknown): unknown }): void {
  app.set(SETTING, true);
}

/**
 * The value that the text is JSON of, or the text itself where the application sends it as it is:
 * an interceptor of a host application sees values.
 */
export function jsonData<T>(res: Response, json: string, value: () => T): T {
  const { settings } = res.app as unknown as { settings: Record<string, unknown> };
  return settings[SETTING] ? (new JsonText(json) as T) : value();
}

/** The JSON of an answer of ours. */
export function jsonOf(body: object): string | undefined {
  const { data, meta } = body as Partial<Success<unknown, unknown>>;
  if (!(data instanceof JsonText)) return JSON.stringify(body);
  const rest = meta === undefined ? '' : `,"meta":${JSON.stringify(meta)}`;
  return `{"success":true,"data":${data.text}${rest}}`;
}
