/**
 * Returns an error whose message is complete: the CLI prints it unchanged, without its cause. It has only the name of
 * the service's ExplainedError, because this folder imports nothing of the service, so that it works alone.
 */
export function explainedError(message: string, cause: unknown): Error {
  return Object.assign(new Error(message, { cause }), { name: 'ExplainedError' });
}
