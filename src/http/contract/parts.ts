import type { Type } from '@nestjs/common';
import { Allow } from 'class-validator';
import { type Fault, MAX_FAULTS } from '../problems/problem.js';
import { Turn } from '../streams/turns.js';

/** Creates an instance of the class from an object and lists its faults, with paths below `parent`. */
type CheckObject = (
  type: Type<object>,
  value: object,
  parent: string,
) => Promise<{ instance: object; faults: Fault[] }>;

type CheckPart = (
  value: unknown,
  path: string,
  checkObject: CheckObject,
) => Promise<{ instance?: unknown; faults: Fault[] }>;

const checks = new WeakMap<object, Map<string, CheckPart>>();

/** Returns the fields of a DTO class that hold objects, each with its check. */
export function partsOf(type: Type): ReadonlyMap<string, CheckPart> | undefined {
  return checks.get(type.prototype as object);
}

/*
 * These decorators replace class-validator's ValidateNested. That one lets class-transformer copy the
 * whole list and then checks every item, however long the list is, and accepts a list where one object
 * is expected.
 */

/** A field that is an object of this class. */
export function ObjectOf(type: Type<object>): PropertyDecorator {
  return part((value, path, checkObject) =>
    isObject(value)
      ? checkObject(type, value, `${path}.`)
      : Promise.resolve(fault(path, 'must be an object')),
  );
}

interface ListOfOptions {
  maxItems: number;
  /** The field of each object that names its class. */
  by: string;
  types: Record<string, Type<object>>;
}

/** A field that is a list of 1 to `maxItems` objects. The check stops at `MAX_FAULTS` faults. */
export function ListOf({ maxItems, by, types }: ListOfOptions): PropertyDecorator {
  const names = Object.keys(types);
  return part(async (list, path, checkObject) => {
    if (!Array.isArray(list) || list.length < 1 || list.length > maxItems)
      return fault(path, `must be a list of 1 to ${maxItems}`);
    const instance: unknown[] = [];
    const faults: Fault[] = [];
    const turn = new Turn();
    for (const [i, item] of list.entries()) {
      if (turn.isOver) await turn.next();
      const at = `${path}.${i}`;
      const checked = !isObject(item)
        ? fault(at, 'must be an object')
        : names.includes(item[by] as string)
          ? await checkObject(types[item[by] as string]!, item, `${at}.`)
          : fault(`${at}.${by}`, `must be one of: ${names.join(', ')}`);
      instance.push(checked.instance);
      faults.push(...checked.faults);
      if (faults.length >= MAX_FAULTS) break;
    }
    return { instance, faults };
  });
}

function part(check: CheckPart): PropertyDecorator {
  return (target, key) => {
    Allow()(target, key);
    const known = checks.get(target) ?? new Map<string, CheckPart>();
    checks.set(target, known.set(String(key), check));
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function fault(path: string, message: string): { instance?: unknown; faults: Fault[] } {
  return { faults: [{ path, message }] };
}
