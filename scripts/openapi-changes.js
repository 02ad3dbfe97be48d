// Finds the differences between two OpenAPI documents that break clients of the API.

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

/** Returns the breaking changes, one sentence each; empty if clients of the first document can use the second. */
export function breakingChanges(before, after) {
  const found = [];
  for (const [path, item] of Object.entries(before.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const name = `${method.toUpperCase()} ${path}`;
      const next = after.paths[path]?.[method];
      if (next) compareOperations({ before, after, found }, name, item[method], next);
      else found.push(`${name} is gone`);
    }
  }
  return found;
}

function compareOperations(documents, name, old, next) {
  const { found } = documents;
  if (old.operationId !== next.operationId) found.push(`${name} has another operationId`);
  compareParameters(documents, name, old, next);
  compareBodies(documents, name, old, next);
  for (const [status, answer] of Object.entries(old.responses)) {
    if (!/^[23]/.test(status)) continue; // the API does not promise a fixed set of failures
    const other = next.responses[status];
    if (!other) found.push(`${name} no longer answers ${status}`);
    else compareAnswers(documents, `${name} ${status}`, answer, other);
  }
}

function compareParameters({ before, after, found }, name, old, next) {
  const all = (document, { parameters = [] }) =>
    new Map(parameters.map((given) => [keyOf(resolve(document, given)), resolve(document, given)]));
  const olds = all(before, old);
  const nexts = all(after, next);
  for (const [key, parameter] of olds) {
    const other = nexts.get(key);
    if (!other) found.push(`${name} takes no ${key}`);
    else compareInput({ before, after, found }, `${name} ${key}`, parameter.schema, other.schema);
  }
  for (const [key, { required }] of nexts) {
    if (required && !olds.get(key)?.required) found.push(`${name} requires ${key}`);
  }
}

const keyOf = ({ name, in: place }) => `${place} parameter ${name}`;

function compareBodies(documents, name, old, next) {
  const { before, after, found } = documents;
  const oldBody = resolve(before, old.requestBody);
  const nextBody = resolve(after, next.requestBody);
  if (nextBody?.required && !oldBody?.required) found.push(`${name} requires a body`);
  for (const [type, { schema }] of Object.entries(oldBody?.content ?? {})) {
    const other = nextBody?.content[type];
    if (!other) found.push(`${name} reads no ${type}`);
    else compareInput(documents, `${name} body`, schema, other.schema);
  }
}

function compareAnswers(documents, name, old, next) {
  const { before, after, found } = documents;
  const [answer, other] = [resolve(before, old), resolve(after, next)];
  for (const header of Object.keys(answer.headers ?? {})) {
    if (!other.headers?.[header]) found.push(`${name} has no header ${header}`);
  }
  for (const [type, { schema }] of Object.entries(answer.content ?? {})) {
    const media = other.content?.[type];
    if (!media) found.push(`${name} is no longer ${type}`);
    else compareOutput(documents, name, schema, media.schema);
  }
}

/** Compares what clients send: input that was accepted must not be refused. */
function compareInput(documents, name, given, other) {
  const { found } = documents;
  const [old, next] = resolveBoth(documents, given, other);
  if (!old || !next) return;
  compareKinds(documents, name, old, next);
  if (old.nullable && !next.nullable) found.push(`${name} is no longer nullable`);
  for (const value of next.enum ? (old.enum ?? ['any other value']) : []) {
    if (!next.enum.includes(value)) found.push(`${name} takes no ${JSON.stringify(value)}`);
  }
  for (const [limit, isNarrower] of Object.entries(LIMITS)) {
    if (isNarrower(old[limit], next[limit])) found.push(`${name} has a narrower ${limit}`);
  }
  for (const property of next.required ?? []) {
    if (!old.required?.includes(property)) found.push(`${name}.${property} is required`);
  }
  for (const [property, schema] of Object.entries(old.properties ?? {})) {
    const added = next.properties?.[property];
    if (added) compareInput(documents, `${name}.${property}`, schema, added);
    else found.push(`${name} takes no ${property}`);
  }
  if (old.items) compareInput(documents, `${name}[]`, old.items, next.items);
  compareAlternatives(documents, name, old, next, compareInput);
  for (const kind of ['oneOf', 'anyOf']) {
    if (old[kind]?.length > (next[kind]?.length ?? 0)) found.push(`${name} has fewer ${kind}`);
  }
}

const isLower = (old, next) => next !== undefined && (old === undefined || next < old);
const isHigher = (old, next) => next !== undefined && next > (old ?? 0);
const isOther = (old, next) => next !== undefined && next !== old;
const LIMITS = {
  ...{ maximum: isLower, maxLength: isLower, maxItems: isLower, maxProperties: isLower },
  minimum: (old, next) => next !== undefined && (old === undefined || next > old),
  ...{ minLength: isHigher, minItems: isHigher, minProperties: isHigher },
  ...{ pattern: isOther, format: isOther, uniqueItems: (old, next) => Boolean(next) && !old },
};

/** Compares what clients read: every field that existed must still exist. */
function compareOutput(documents, name, given, other) {
  const { found } = documents;
  const [old, next] = resolveBoth(documents, given, other);
  if (!old || !next) return;
  compareKinds(documents, name, old, next);
  if (!old.nullable && next.nullable) found.push(`${name} may be null`);
  for (const [property, schema] of Object.entries(old.properties ?? {})) {
    const kept = next.properties?.[property];
    if (!kept) {
      found.push(`${name}.${property} is gone`);
      continue;
    }
    if (old.required?.includes(property) && !next.required?.includes(property)) {
      found.push(`${name}.${property} may be missing`);
    }
    compareOutput(documents, `${name}.${property}`, schema, kept);
  }
  if (old.items) compareOutput(documents, `${name}[]`, old.items, next.items);
  compareAlternatives(documents, name, old, next, compareOutput);
  for (const kind of ['oneOf', 'anyOf']) {
    if ((old[kind]?.length ?? Infinity) < next[kind]?.length)
      found.push(`${name} has more ${kind}`);
  }
}

function compareKinds({ found }, name, old, next) {
  if (old.type !== next.type) found.push(`${name} is ${next.type} and no longer ${old.type}`);
}

function compareAlternatives(documents, name, old, next, compare) {
  for (const kind of ['allOf', 'oneOf', 'anyOf']) {
    for (const [i, schema] of (old[kind] ?? []).entries()) {
      if (next[kind]?.[i]) compare(documents, `${name} ${kind} ${i}`, schema, next[kind][i]);
    }
  }
}

function resolveBoth({ before, after }, old, next) {
  return [resolve(before, old), resolve(after, next)];
}

function resolve(document, value) {
  if (!value?.$ref) return value;
  const found = value.$ref
    .slice(2)
    .split('/')
    .reduce((part, name) => part?.[name], document);
  return resolve(document, found);
}
