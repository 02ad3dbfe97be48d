// node scripts/openapi-types.js: generates the types of the client, src/client/openapi-types.ts, from
// docs/openapi.json. Descriptions are left out, so that a change of words does not change the types.
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import openapiTS, { astToString } from 'openapi-typescript';

process.chdir(path.resolve(import.meta.dirname, '..'));

const WORDS = ['description', 'summary', 'example', 'examples', 'title', 'format'];
const HEAD = '// Made by scripts/openapi-types.js from docs/openapi.json: npm run openapi.\n\n';

const document = JSON.parse(readFileSync('docs/openapi.json', 'utf8'), (name, value) =>
  WORDS.includes(name) && typeof value === 'string' ? undefined : value,
);
const types = astToString(await openapiTS(document));
writeFileSync('src/client/openapi-types.ts', HEAD + types);
