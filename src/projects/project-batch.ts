import {
  type OperationResult,
  type ProjectOperation,
  type Refusal,
  RefusedOperations,
} from '../db/factories/projects/project-batch.js';
import { etagOf, ifMatchOf } from '../http/answers/etag.js';
import { MAX_FAULTS, notValid, Problem } from '../http/problems/problem.js';
import type { OperationResultDto, ProjectBatchDto } from './dto/project-batch.dto.js';

/** Converts the operations of a request to those of the factory. Throws `validation_failed` if an id occurs twice. */
export function operationsOf({ operations }: ProjectBatchDto): ProjectOperation[] {
  refuseRepeatedIds(operations);
  return operations.map((operation) => {
    if (operation.op === 'create') return operation;
    const { ifMatch, ...rest } = operation;
    return { ...rest, versions: ifMatch === undefined ? undefined : ifMatchOf(ifMatch) };
  });
}

function refuseRepeatedIds(operations: ProjectBatchDto['operations']): void {
  const places = new Map<string, number[]>();
  for (const [i, operation] of operations.entries()) {
    if (operation.op === 'create') continue;
    places.set(operation.id, [...(places.get(operation.id) ?? []), i]);
  }
  const repeated = [...places.values()].filter((indexes) => indexes.length > 1).flat();
  if (repeated.length === 0) return;
  throw notValid(
    repeated.map((i) => ({ path: `operations.${i}.id`, message: 'occurs in two operations' })),
  );
}

export function resultOf(result: OperationResult): OperationResultDto {
  const { op, project } = result;
  if (op === 'delete') return { op, status: 200, ...(project && { project }) };
  return { op, status: result.created ? 201 : 200, etag: etagOf(project.version), project };
}

const MESSAGES: Record<Refusal['code'], string> = {
  not_found: 'there is no project with this id',
  version_mismatch: 'the project does not have the version that ifMatch requires',
};

/** Converts refused operations to a problem that lists each of them; throws any other error unchanged. */
export function throwAsProblem(error: unknown): never {
  if (!(error instanceof RefusedOperations)) throw error;
  const errors = error.refusals.slice(0, MAX_FAULTS).map(({ index, code }) => ({
    path: `operations.${index}`,
    message: MESSAGES[code],
  }));
  throw new Problem(error.code, error.message, { errors });
}
