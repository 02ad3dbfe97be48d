import type { Author } from '../db/entity/author.js';
import type { Db } from '../db/connection.js';
import { errorOfProblem } from './projects-client-error.js';
import type { Transport } from './transport.js';
import { messageRequestId } from '../http/messages/message-request.js';
import { problemBody } from '../http/problems/problem.js';
import { toProblem } from '../http/problems/to-problem.js';
import { createProjectOperations } from '../projects/messages/project-operations.js';

/**
 * Executes the operations in this process, on the given database. Requests are copied as JSON, as with any other
 * transport, so that no value is shared with the caller.
 */
export function localTransport(db: Db, { actor }: Pick<Author, 'actor'> = {}): Transport {
  const operations = createProjectOperations(db);
  return {
    call: async (operation, request, { meta, signal }) => {
      const message = JSON.parse(JSON.stringify({ ...request, meta })) as object;
      const requestId = messageRequestId({}, message);
      const work = operations.run(operation, message, { actor, requestId });
      return await Promise.race([work, aborted(signal)]).catch((error: unknown) => {
        if (signal.aborted) throw error;
        throw errorOfProblem(problemBody(toProblem(error), '', requestId), { cause: error });
      });
    },
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
