import { PROJECT_FIELDS } from '../../db/factories/projects/project-list-query.js';
import type { ProjectRow } from '../../db/factories/projects/project-import.js';
import { PROJECT_LIMITS } from '../../db/schema.js';
import { type Fault, Problem } from '../../http/problems/problem.js';
import { checkContent } from '../../http/contract/request.guard.js';
import { sizeFault } from '../../http/contract/size.js';
import { check, instanceIfValid } from '../../http/contract/validation.js';
import { isUuid } from '../../db/driver/text-format.js';
import { ImportRowDto, MAX_VERSION } from '../dto/import-row.dto.js';

/** A row that can be written, or what is wrong with it. */
export type Checked =
  { row: ProjectRow; faults?: undefined } | { row?: undefined; faults: Fault[] };

/** By all the rules of the DTO, and those that every body has to keep: no U+0000, no half surrogate pairs. */
export async function checkRow(value: object): Promise<Checked> {
  const faults = contentFaults(value);
  if (faults.length > 0) return { faults };
  const { instance, faults: found } = await check(ImportRowDto, value);
  return found.length > 0 ? { faults: found } : { row: instance };
}

/** The row that `checkRow` would give, at a tenth of its cost; undefined for one that it refuses. */
export function rowIfValid(value: object): ProjectRow | undefined {
  return contentFaults(value).length === 0 ? instanceIfValid(ImportRowDto, value) : undefined;
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
 * The row, if `checkRow` would plainly take it as it is; otherwise undefined, and `checkRow` decides.
 * That takes ten times as long, and almost every row of almost every file is plain.
 */
export function plainRow(value: object): ProjectRow | undefined {
  for (const field in value) if (!FIELDS.has(field)) return undefined;
  const row = value as ProjectRow;
  const { id, createdAt, updatedAt, version } = row;
  const isPlain =
    isPlainText(row.name, 1, PROJECT_LIMITS.nameLength) &&
    isPlainText(row.description, 0, PROJECT_LIMITS.descriptionLength, false) &&
    areTechnologies(row.technologies) &&
    (id === undefined || (isUuid(id) && id === id.toLowerCase())) &&
    (createdAt === undefined || isMoment(createdAt)) &&
    (updatedAt === undefined || isMoment(updatedAt)) &&
    (version === undefined ||
      (Number.isInteger(version) && version >= 1 && version <= MAX_VERSION));
  return isPlain ? row : undefined;
}

const FIELDS = new Set<string>(PROJECT_FIELDS);

/** No longer than allowed even if every character were one unit, and with nothing to trim. */
function isPlainText(text: unknown, min: number, max: number, trimmed = true): boolean {
  return (
    typeof text === 'string' &&
    text.length >= min &&
    text.length <= max &&
    text.isWellFormed() &&
    !text.includes('\0') &&
    text.normalize('NFC') === text &&
    !(trimmed && text.trim() !== text)
  );
}

function areTechnologies(list: unknown): boolean {
  if (!Array.isArray(list) || list.length > PROJECT_LIMITS.technologies) return false;
  for (let i = 0; i < list.length; i++) {
    if (!isPlainText(list[i], 1, PROJECT_LIMITS.technologyLength)) return false;
  }
  return list.length < 2 || new Set(list).size === list.length;
}

function isMoment(text: unknown): boolean {
  if (typeof text !== 'string' || text.length !== 24 || text.startsWith('0000')) return false;
  const time = Date.parse(text);
  return !Number.isNaN(time) && new Date(time).toISOString() === text;
}
