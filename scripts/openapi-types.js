// node scripts/openapi-types.js: the types of the client, src/client/openapi-types.ts, from docs/openapi.json. Without
// its descriptions, so that other words in the document make no other types.
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
