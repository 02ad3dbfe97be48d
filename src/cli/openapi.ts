import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { validateEnvironment } from '../config/validate-environment.js';
import { createApplication } from '../application.js';
import { createOpenApiDocument, openApiYaml } from '../openapi.js';

/**
 * Writes openapi.json and openapi.yaml into the directory and resolves with their paths. It does not read
 * the environment and does not connect to the database, whose URL is a placeholder.
 */
export async function writeOpenApi(directory: string): Promise<string[]> {
  const app = await createApplication(
    validateEnvironment({ DATABASE_URL: 'postgres://localhost/none', LOG_LEVEL: 'fatal' }),
  );
  const document = createOpenApiDocument(app);
  const files: Record<string, string> = {
    'openapi.json': `${JSON.stringify(document, null, 2)}\n`,
    'openapi.yaml': openApiYaml(document),
  };
  await mkdir(directory, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  return Object.keys(files).map((name) => join(directory, name));
}
