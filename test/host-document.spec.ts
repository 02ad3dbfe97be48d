import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { Validator } from '@seriousme/openapi-schema-validator';
import {
  completeOpenApiDocument,
  DatabaseModule,
  ProjectsModule,
  TechnologiesModule,
} from '../src/index.js';

@Module({
  imports: [
    DatabaseModule.forRoot({ url: 'postgres://localhost/none' }),
    ProjectsModule,
    TechnologiesModule,
  ],
})
class HostModule {}

/** The document of a host application with a prefix of its own, which connects to nothing. */
async function hostDocument(): Promise<OpenAPIObject> {
  const app = await NestFactory.create<NestExpressApplication>(HostModule, { logger: false });
  app.setGlobalPrefix('company/v3');
  const config = new DocumentBuilder().setOpenAPIVersion('3.0.3').setTitle('Host').build();
  return SwaggerModule.createDocument(app, config);
}

function danglingReferences(document: OpenAPIObject): string[] {
  const references = JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g);
  const leadsNowhere = (path: string) => {
    let value: unknown = document;
    for (const part of path.split('/')) value = (value as Record<string, unknown>)?.[part];
    return value === undefined;
  };
  return [...new Set([...references].map(([, path]) => path!))].filter(leadsNowhere);
}

it("completes a host's document, so that no reference leads nowhere", async () => {
  const document = await hostDocument();
  expect(danglingReferences(document).length).toBeGreaterThan(20);
  const completed = completeOpenApiDocument(document);
  expect(danglingReferences(completed)).toEqual([]);
  const { valid, errors } = await new Validator().validate(structuredClone({ ...completed }));
  expect({ valid, errors }).toEqual({ valid: true, errors: undefined });
});

it('adds only what is referred to, and keeps what the host has under the same name', async () => {
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
