import type { Type } from '@nestjs/common';
import { TransformationType, type TransformFnParams } from 'class-transformer';
import { defaultMetadataStorage } from 'class-transformer/cjs/storage.js';
import { getMetadataStorage, ValidationTypes } from 'class-validator';

/** The rules of a property, as class-validator keeps them. */
interface Rules {
  /** Whether the property is to be checked at all: @IsOptional, @ValidateIf. */
  applies: ((object: object, value: unknown) => boolean)[];
  holds: ((value: unknown, object: object) => unknown)[];
  /** What its decorators make of a value before it is checked. */
  changes: ((params: TransformFnParams) => unknown)[];
}

const PLAIN_TO_CLASS = TransformationType.PLAIN_TO_CLASS;

const rulesOfClasses = new WeakMap<Type, Map<string, Rules> | 'unknown'>();

/**
 * Whether an instance of a DTO class keeps every rule of it, found by asking class-validator's own
 * rules one after the other. False says only that class-validator has to be asked, which knows all
 * kinds of rules and what is wrong: that takes five times as long (docs/performance.md, "Validation").
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
 * The fields of a DTO class, read from a plain object as class-transformer and class-validator would,
 * by their own transforms and rules, at a fifth of their cost. Undefined says only that these have to
 * be asked. The result is a plain object, not an instance of the class.
 */
export function plainFieldsOf<T extends object>(type: Type<T>, value: object): T | undefined {
  const rules = knownRules(type);
  if (rules === 'unknown') return undefined;
  const fields: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const known = rules.get(key);
    if (!known) return undefined;
    let field = (value as Record<string, unknown>)[key];
    for (const change of known.changes)
      field = change({ value: field, key, obj: value, type: PLAIN_TO_CLASS, options: {} });
    fields[key] = field;
  }
  return holdAll(rules, fields) ? (fields as T) : undefined;
}

function knownRules(type: Type): Map<string, Rules> | 'unknown' {
  let rules = rulesOfClasses.get(type);
  if (rules === undefined) rulesOfClasses.set(type, (rules = rulesOf(type)));
  return rules;
}

/** 'unknown' for a class that has a rule of a kind that is not one value's own. */
function rulesOf(type: Type): Map<string, Rules> | 'unknown' {
  const storage = getMetadataStorage();
  const rules = new Map<string, Rules>();
  for (const rule of storage.getTargetValidationMetadatas(type, '', false, false)) {
    const { propertyName: property, constraints } = rule;
    if (!rules.has(property)) {
      rules.set(property, { applies: [], holds: [], changes: changesOf(type, property) });
    }
    const { applies, holds } = rules.get(property)!;
    if (rule.type === ValidationTypes.CONDITIONAL_VALIDATION) {
      applies.push(constraints[0] as Rules['applies'][number]);
    } else if (rule.type === ValidationTypes.CUSTOM_VALIDATION && !rule.each && !rule.validateIf) {
      for (const { instance } of storage.getTargetValidatorConstraints(rule.constraintCls)) {
        holds.push((value, object) =>
          instance.validate(value, { targetName: type.name, property, object, value, constraints }),
        );
      }
    } else if (rule.type !== ValidationTypes.WHITELIST) {
      return 'unknown';
    }
  }
  return rules;
}

function changesOf(type: Type, property: string): Rules['changes'] {
  return defaultMetadataStorage
    .findTransformMetadatas(type, property, PLAIN_TO_CLASS)
    .map(({ transformFn }) => transformFn);
}
