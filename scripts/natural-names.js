// esbuild@0.25.12 keeps the names of functions by a call of `__name` each time that a function is made. For a function
// inside another one this happens in each request, and V8 then treats it as an object of its own shape: a POST took 1.1
// to 1.7 times as much processor time. This removes the calls that classes do not need.
import { parse } from 'acorn';

/**
 * Returns the code without the calls for arrow functions, and for functions whose own name is the same. Classes keep
 * theirs, because their names are names of schemas and of errors. Each position stays, so that source maps stay right.
 */
export function withNaturalNames(code) {
  const parts = [];
  let end = 0;
  for (const [from, to, text] of replacements(code).sort(([a], [b]) => a - b)) {
    parts.push(code.slice(end, from), text.padEnd(to - from));
    end = to;
  }
  return parts.join('') + code.slice(end);
}

function replacements(code) {
  const found = [];
  visit(parse(code, { ecmaVersion: 'latest', sourceType: 'module' }), undefined, (node, parent) => {
    if (!isNaming(node)) return;
    const [target, { value: name }] = node.arguments;
    if (parent.type === 'ExpressionStatement' && target.name === name) {
      found.push([parent.start, parent.end, ';']);
    } else if (isNamedByItself(target, name, parent)) {
      found.push([node.start, target.start, '('], [target.end, node.end, ')']);
    }
  });
  return found;
}

function isNaming({ type, callee, arguments: given }) {
  return type === 'CallExpression' && callee.name === '__name' && given.length === 2;
}

/** An arrow function cannot be a class, so only stack traces show its name. */
function isNamedByItself({ type, id }, name, parent) {
  if (type === 'ArrowFunctionExpression') return true;
  if (type !== 'FunctionExpression') return false;
  if (id) return id.name === name;
  const place = parent.id ?? parent.key ?? parent.left;
  return place?.type === 'Identifier' && !parent.computed && place.name === name;
}

function visit(node, parent, onNode) {
  onNode(node, parent);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof child?.type === 'string') visit(child, node, onNode);
    }
  }
}
