import type { OpenAPIObject } from '@nestjs/swagger';

/** One operation of an OpenAPI document. */
export interface Operation {
  method: string;
  path: string;
  operationId: string;
  parameters: { name: string; in: string }[];
  requestBody?: { content: Record<string, { schema: { $ref: string } }> };
  responses: Record<string, DocumentedAnswer>;
}

export interface DocumentedAnswer {
  headers?: Record<string, DocumentedHeader | { $ref: string }>;
  content?: Record<string, { schema?: object; examples?: Record<string, unknown> }>;
}

export interface DocumentedHeader {
  required?: boolean;
  schema?: { type?: string };
}

/** An answer that was received, its body as text. */
export interface Answer {
  status: number;
  headers: Headers;
  text: string;
}

const METHODS = ['get', 'put', 'post', 'patch', 'delete', 'head', 'options', 'trace'];

/** Returns all operations of the document. */
export function operationsOf(document: OpenAPIObject): Operation[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item)
      .filter(([method]) => METHODS.includes(method))
      .map(([method, operation]): Operation => {
        const { parameters = [], ...documented } = operation as Partial<Operation>;
        return { ...(documented as Operation), parameters, method, path };
      }),
  );
}

/** Returns the name of a route: `GET /api/skills/{id}`. */
export function routeName({ method, path }: { method: string; path: string }): string {
  return `${method.toUpperCase()} ${path}`;
}

/** Returns the documented answers of an operation: the status of a success (`200`), or status and code of a problem (`400 invalid_id`). */
export function documentedAnswers({ responses }: Operation): string[] {
  return Object.entries(responses).flatMap(([status, { content }]) => {
    const codes = Object.keys(content?.['application/problem+json']?.examples ?? {});
    return codes.length > 0 ? codes.map((code) => `${status} ${code}`) : [status];
  });
}

/** Returns the name of a received answer in the format of `documentedAnswers`. */
export function answerName({ status, text }: Answer): string {
  const isProblem = status >= 400 && text !== '';
  const code = isProblem ? (JSON.parse(text) as { code?: string }).code : undefined;
  return code === undefined ? String(status) : `${status} ${code}`;
}

/** Returns the media types of an operation's successes. */
export function successTypes({ responses }: Operation): string[] {
  return Object.entries(responses).flatMap(([status, { content }]) =>
    status.startsWith('2') ? Object.keys(content ?? {}) : [],
  );
}

/** False for newline-delimited JSON, which is a file. */
export function isJson(mediaType: string): boolean {
  return /^application\/([\w.-]+\+)?json$/.test(mediaType);
}
