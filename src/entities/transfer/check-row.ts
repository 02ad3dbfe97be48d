import type { ImportRow } from '../../db/entity/row-import.js';
import { type Fault, Problem } from '../../http/problems/problem.js';
import { checkContent } from '../../http/contract/content.js';
import { sizeFault } from '../../http/contract/size.js';
import { check } from '../../http/contract/validation.js';
import { plainFieldsOf } from '../../http/contract/plainly-valid.js';
import type { EntityFile } from './entity-file.js';

/** A row that can be written, or what is wrong with it. */
export type Checked = { row: ImportRow; faults?: undefined } | { row?: undefined; faults: Fault[] };

/** By all the rules of the DTO, and those that every body has to keep: no U+0000, no half surrogate pairs. */
export async function checkRow({ rowDto }: EntityFile, value: object): Promise<Checked> {
  const faults = contentFaults(value);
  if (faults.length > 0) return { faults };
  const { instance, faults: found } = await check(rowDto, value);
  return found.length > 0 ? { faults: found } : { row: instance };
}

/** The row that `checkRow` would give, at a tenth of its cost; undefined for one that it refuses. */
export function rowIfValid({ rowDto }: EntityFile, value: object): ImportRow | undefined {
  return contentFaults(value).length === 0 ? plainFieldsOf(rowDto, value) : undefined;
}

function contentFaults(value: object): Fault[] {
  const fault = sizeFault(value);
  if (fault) return [fault];
  return Object.entries(value).flatMap(([path, content]: [string, unknown]) => {
    try {
      checkContent({ [path]: content });
      return [];
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      return [{ path, message: error.extra.errors?.[0]?.message ?? inField(error.detail) }];
    }
  });
}

function inField(detail: string): string {
  return detail.replace(/^The request /, '').replace(/\.$/, '');
}

/**
 * The row, if `checkRow` would take it; undefined says that `checkRow` has to decide. That takes five
 * times as long, and almost every row of almost every file is valid and small.
 */
export function plainRow({ rowDto }: EntityFile, value: object): ImportRow | undefined {
  for (const field in value) {
    if (!isSmallAndClean((value as Record<string, unknown>)[field])) return undefined;
  }
  return plainFieldsOf(rowDto, value);
}

/** Whether the rules for the size and the text of every body hold without a closer look. */
function isSmallAndClean(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0');
  if (!Array.isArray(value)) return typeof value !== 'object';
  return (
    value.length <= SMALL_LIST &&
    value.every((item) => typeof item === 'string' && isSmallAndClean(item))
  );
}

const SMALL_LIST = 1000;
