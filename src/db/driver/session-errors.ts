import { DataError, NoAnswerError } from '../errors.js';

export function connectionLost(cause?: unknown): DataError {
  const message = 'The connection to the database was lost.';
  return new DataError('database_unavailable', message, { cause });
}

export function isStandby(): DataError {
  const message = 'The database server is a standby, which does not accept writes.';
  return new DataError('database_unavailable', message);
}

export function isOtherServer(): DataError {
  const message = 'The URL of a replica leads to several servers. Write a separate URL for each.';
  return new DataError('database_unavailable', message);
}

export function noAnswer(deadlineMs: number): DataError {
  return new NoAnswerError(`The database did not answer within ${deadlineMs} ms.`);
}

export function miscounted(): DataError {
  return new DataError('database_unavailable', 'The answer of the database was not complete.');
}

export function stillOpen(): DataError {
  return new DataError(
    'conflict',
    'The transaction was rolled back because it was not ended. Use db.transaction().',
  );
}

export function closedError(): DataError {
  return new DataError('database_unavailable', 'The connection pool is closed.');
}
