import type { OpenAPIObject } from '@nestjs/swagger';
import { Validator } from '@seriousme/openapi-schema-validator';
import { completeOpenApiDocument } from '../../src/index.js';
import { hostDocument } from '../support/host-document.js';

function danglingReferences(document: OpenAPIObject): string[] {
  const references = JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g);
  const leadsNowhere = (path: string) => {
    let value: unknown = document;
    for (const part of path.split('/')) value = (value as Record<string, unknown>)?.[part];
    return value === undefined;
  };
  return [...new Set([...references].map(([, path]) => path!))].filter(leadsNowhere);
}

it("the package completes a host's document, so that every reference can be resolved", async () => {
  const document = await hostDocument();
  expect(danglingReferences(document).length).toBeGreaterThan(20);
  const completed = completeOpenApiDocument(document);
  expect(danglingReferences(completed)).toEqual([]);
  const { valid, errors } = await new Validator().validate(structuredClone({ ...completed }));
  expect({ valid, errors }).toEqual({ valid: true, errors: undefined });
});

it('the package adds only components that are referred to, and keeps components of the host with the same name', async () => {
  const document = await hostDocument();
  const own = { description: 'Of the host.', schema: { type: 'string' as const } };
  document.components = { ...document.components, headers: { ETag: own } };
  const { headers, examples } = completeOpenApiDocument(document).components!;
  expect(headers!.ETag).toBe(own);
  expect(Object.keys(examples!)).not.toContain('not_ready');
  expect(
    completeOpenApiDocument({ openapi: '3.0.3', info: { title: '', version: '' }, paths: {} })
      .components,
  ).toEqual({ headers: {}, examples: {} });
});
