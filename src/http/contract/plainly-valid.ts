import type { Type } from '@nestjs/common';
import { type Transform, transformsOf } from '../internals/class-transformer.js';
import { declaredRules } from '../internals/class-validator.js';

/** The validation rules of a property, taken from class-validator. */
interface Rules {
  /** The conditions under which the property is checked: @IsOptional, @ValidateIf. */
  applies: ((object: object, value: unknown) => boolean)[];
  holds: ((value: unknown, object: object) => unknown)[];
  /** The transforms that its decorators apply before the check. */
  changes: Transform[];
}

const rulesOfClasses = new WeakMap<Type, Map<string, Rules> | 'unknown'>();

/**
 * True if an instance of a DTO class satisfies all its rules. It runs class-validator's own rules
 * directly. False means only that class-validator itself must decide, which knows all kinds of rules
 * and reports the faults, but takes five times as long (docs/performance.md, "Validation").
 */
export function isPlainlyValid<T extends object>(type: Type<T>, instance: T): boolean {
  const rules = knownRules(type);
  if (rules === 'unknown') return false;
  for (const name of Object.keys(instance)) if (!rules.has(name)) return false;
  return holdAll(rules, instance as Record<string, unknown>);
}

function holdAll(rules: Map<string, Rules>, fields: Record<string, unknown>): boolean {
  for (const [name, { applies, holds }] of rules) {
    const value = fields[name];
    if (!applies.every((asks) => asks(fields, value))) continue;
    if (!holds.every((holdsFor) => holdsFor(value, fields) === true)) return false;
  }
  return true;
}

/**
 * Returns the fields of a DTO class from a plain object, with the transforms of class-transformer and
 * the rules of class-validator, at a fifth of their cost. Undefined means only that these libraries
 * themselves must decide. The result is a plain object, not an instance of the class.
 */
export function plainFieldsOf<T extends object>(type: Type<T>, value: object): T | undefined {
  const rules = knownRules(type);
  if (rules === 'unknown') return undefined;
  const fields: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const known = rules.get(key);
    if (!known) return undefined;
    let field = (value as Record<string, unknown>)[key];
    for (const change of known.changes) field = change(field, key, value);
    fields[key] = field;
  }
  return holdAll(rules, fields) ? (fields as T) : undefined;
}

function knownRules(type: Type): Map<string, Rules> | 'unknown' {
  let rules = rulesOfClasses.get(type);
  if (rules === undefined) rulesOfClasses.set(type, (rules = rulesOf(type)));
  return rules;
}

/** Collects the rules of a class; 'unknown' if one of them does not check just one value. */
function rulesOf(type: Type): Map<string, Rules> | 'unknown' {
  const rules = new Map<string, Rules>();
  for (const rule of declaredRules(type)) {
    if (rule.kind === 'other') return 'unknown';
    const { property } = rule;
    if (!rules.has(property)) {
      rules.set(property, { applies: [], holds: [], changes: transformsOf(type, property) });
    }
    if (rule.kind === 'condition') rules.get(property)!.applies.push(rule.applies);
    if (rule.kind === 'check') rules.get(property)!.holds.push(rule.holds);
  }
  return rules;
}
