import type { Type } from '@nestjs/common';
import { getMetadataStorage, ValidationTypes } from 'class-validator';

/*
 * Everything that this service uses inside class-validator@0.15.1: the contents of its metadata storage, of
 * which only the accessor is documented. No other file uses it (test/repository/dependencies.spec.ts).
 */

/** One rule of a property. */
export type Rule =
  | { property: string; kind: 'condition'; applies: (object: object, value: unknown) => boolean }
  | { property: string; kind: 'check'; holds: (value: unknown, object: object) => unknown }
  | { property: string; kind: 'known' }
  | { property: string; kind: 'other' };

/** True if a class, or one that it extends, has a rule for one of its properties. */
export function hasRules(type: Type | undefined): boolean {
  return type !== undefined && metadataOf(type).length > 0;
}

/**
 * Returns the rules of a class and of its base classes. There are four kinds: `condition` decides whether the other
 * rules of the property apply (@IsOptional, @ValidateIf), `check` checks one value, `known` only declares the
 * property, and only the library itself can run `other`.
 */
export function declaredRules(type: Type): Rule[] {
  return metadataOf(type).flatMap((rule): Rule[] => {
    const { propertyName: property, constraints } = rule;
    if (rule.type === ValidationTypes.CONDITIONAL_VALIDATION) {
      const applies = constraints[0] as (object: object, value: unknown) => boolean;
      return [{ property, kind: 'condition', applies }];
    }
    if (rule.type === ValidationTypes.WHITELIST) return [{ property, kind: 'known' }];
    if (rule.type !== ValidationTypes.CUSTOM_VALIDATION || rule.each || rule.validateIf) {
      return [{ property, kind: 'other' }];
    }
    return getMetadataStorage()
      .getTargetValidatorConstraints(rule.constraintCls)
      .map(({ instance }) => ({
        property,
        kind: 'check',
        holds: (value, object) =>
          instance.validate(value, { targetName: type.name, property, object, value, constraints }),
      }));
  });
}

function metadataOf(type: Type) {
  return getMetadataStorage().getTargetValidationMetadatas(type, '', false, false);
}
