import { DrizzleQueryError } from 'drizzle-orm';
import { asDataError, DataError, errorCodeOf } from '../../src/db/errors.js';
import { notValid, PROBLEMS } from '../../src/http/problems/problem.js';

/** Wraps the driver's error as drizzle does. */
function failed(code: string): Error {
  const cause = Object.assign(new Error('said by the driver'), { code });
  return new DrizzleQueryError('select secret', ['secret'], cause);
}

const EXPECTED: [status: number, code: string, causes: string[]][] = [
  [400, 'invalid_value', ['22001', '22021', '22P02', '22P05', '23502', '23503', '23514']],
  [409, 'already_exists', ['23505']],
  [409, 'still_referenced', ['23001']],
  [409, 'conflict', ['40001', '40P01', '55P03']],
  [503, 'statement_timeout', ['57014']],
  [
    503,
    'database_unavailable',
    [
      ...['08001', '08006', '08P01', '25006', '25P03', '28000', '28P01', '3D000', '42P01'],
      ...['53000', '53100', '53200', '53300', '57P01', '57P02', '57P03', '57P05'],
      ...['CONNECTION_CLOSED', 'CONNECTION_ENDED', 'CONNECTION_DESTROYED', 'CONNECT_TIMEOUT'],
      ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ENOTFOUND', 'EHOSTUNREACH'],
    ],
  ],
];

describe('an error of the database or its driver', () => {
  it.each(
    EXPECTED.flatMap(([status, code, causes]) =>
      causes.map((cause) => [cause, status, code] as const),
    ),
  )('%s gets %i %s, without SQL and values', (cause, status, code) => {
    const error = asDataError(failed(cause))!;
    expect(error).toBeInstanceOf(DataError);
    expect(error.code).toBe(code);
    expect(PROBLEMS[error.code].status).toBe(status);
    expect(error.message).not.toMatch(/secret|select|driver/);
    expect(errorCodeOf(error)).toBe(cause);
  });

  it.each(['XX000', '42601', '0A000', 'P0001', 'ERR_INVALID_ARG_TYPE'])(
    '%s is a fault of the service',
    (cause) => expect(asDataError(failed(cause))).toBeUndefined(),
  );

  it.each([[new TypeError('bug')], ['text'], [null], [undefined]])(
    'is not an error with %p',
    (thrown) => expect(asDataError(thrown)).toBeUndefined(),
  );
});

describe('the faults of a request', () => {
  it('are limited to a hundred with shortened names, so that an answer is not larger than its request', () => {
    const { extra } = notValid(
      Array.from({ length: 5000 }, () => ({ path: '🚀'.repeat(5000), message: 'no' })),
    );
    expect(extra.errors).toHaveLength(100);
    expect(extra.errors![0]).toEqual({ path: '🚀'.repeat(100), message: 'no' });
  });
});
