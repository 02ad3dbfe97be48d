import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { validateEnvironment } from '../config/environment.js';
import { createApplication } from '../application.js';
import { createOpenApiDocument } from '../openapi.js';

/**
 * Writes openapi.json and openapi.yaml into the directory and resolves with their paths. Reads no
 * environment and connects to nothing: the database it names is never asked.
 */
export async function writeOpenApi(directory: string): Promise<string[]> {
  const app = await createApplication(
    validateEnvironment({ DATABASE_URL: 'postgres://localhost/none', LOG_LEVEL: 'fatal' }),
  );
  const json = JSON.stringify(createOpenApiDocument(app), null, 2);
  const files: Record<string, string> = {
    'openapi.json': `${json}\n`,
    'openapi.yaml': stringify(JSON.parse(json), { lineWidth: 100 }),
  };
  await mkdir(directory, { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  return Object.keys(files).map((name) => join(directory, name));
}
