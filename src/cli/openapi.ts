import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { stringify } from 'yaml';
import { validateEnvironment } from '../config/environment.js';
import { createApplication } from '../http/application.js';
import { createOpenApiDocument } from '../http/docs.js';

/** Writes the OpenAPI document as openapi.json and openapi.yaml; needs no database. Resolves with the files' paths. */
export async function writeOpenApi(directory: string): Promise<string[]> {
  const app = await createApplication(
    validateEnvironment({ DATABASE_URL: 'postgres://nowhere', LOG_LEVEL: 'fatal' }),
  );
  const document = createOpenApiDocument(app);
  await mkdir(directory, { recursive: true });
  const files = { json: `${JSON.stringify(document, null, 2)}\n`, yaml: stringify(document) };
  return await Promise.all(
    Object.entries(files).map(async ([ending, text]) => {
      const file = path.join(directory, `openapi.${ending}`);
      await writeFile(file, text);
      return file;
    }),
  );
}
