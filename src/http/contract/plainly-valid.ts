import type { Type } from '@nestjs/common';
import { getMetadataStorage, ValidationTypes } from 'class-validator';

/** The rules of a property, as class-validator keeps them. */
interface Rules {
  /** Whether the property is to be checked at all: @IsOptional, @ValidateIf. */
  applies: ((object: object, value: unknown) => boolean)[];
  holds: ((value: unknown, object: object) => unknown)[];
}

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
  for (const [name, { applies, holds }] of rules) {
    const value = (instance as Record<string, unknown>)[name];
    if (!applies.every((asks) => asks(instance, value))) continue;
    if (!holds.every((holdsFor) => holdsFor(value, instance) === true)) return false;
  }
  return true;
}

/** Whether `isPlainlyValid` knows every rule of a DTO class, so that its false means not valid. */
export function hasPlainRules(type: Type): boolean {
  return knownRules(type) !== 'unknown';
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
    if (!rules.has(property)) rules.set(property, { applies: [], holds: [] });
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
