// esbuild@0.25.12 keeps the names of functions and classes by a call of `__name` each time that one is made. V8 then
// treats it as an object of its own shape: with these calls a GET by id took 1.2 to 1.3 times as much processor time,
// and a POST 1.1 to 1.7 times. This removes the calls, and names the classes in another way.
import { parse } from 'acorn';

/**
 * Returns the code without the calls for arrow functions, for functions and classes whose own name is the same, and
 * for other classes, which get a getter instead: their names are names of schemas and of errors. Each line stays, so
 * that source maps stay right.
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
  visit(
    parse(code, { ecmaVersion: 'latest', sourceType: 'module' }),
    [],
    (node, [parent, ...outer]) => {
      if (!isNaming(node)) return;
      const [target, { value: name }] = node.arguments;
      if (target.type === 'ThisExpression') {
        found.push(...nameOfClass(code, node, name, outer));
      } else if (parent.type === 'ExpressionStatement' && target.name === name) {
        found.push([parent.start, parent.end, ';']);
      } else if (isNamedByItself(target, name, parent)) {
        found.push([node.start, target.start, '('], [target.end, node.end, ')']);
      }
    },
  );
  return found;
}

function isNaming({ type, callee, arguments: given }) {
  return type === 'CallExpression' && callee.name === '__name' && given.length === 2;
}

/** Replaces `static { __name(this, "X"); }`, which esbuild puts first in a class. */
function nameOfClass(code, call, name, [block, , owner, place]) {
  if (isNamed(owner, name, place)) {
    return [[block.start, block.end, code.slice(block.start, block.end).replace(/\S/g, ' ')]];
  }
  const begin = 'static {'.length + block.start;
  return [
    [block.start, begin, 'static get name() {'],
    [call.start, call.end, `return ${JSON.stringify(name)}`],
  ];
}

/** An arrow function cannot be a class, so only stack traces show its name. */
function isNamedByItself(target, name, place) {
  if (target.type === 'ArrowFunctionExpression') return true;
  return target.type === 'FunctionExpression' && isNamed(target, name, place);
}

/** True if a function or class has this name by itself, or by the variable or property that it is assigned to. */
function isNamed({ id }, name, place) {
  const own = id ?? place.id ?? place.key ?? place.left;
  return own?.type === 'Identifier' && !place.computed && own.name === name;
}

function visit(node, outer, onNode) {
  onNode(node, outer);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (typeof child?.type === 'string') visit(child, [node, ...outer], onNode);
    }
  }
}
