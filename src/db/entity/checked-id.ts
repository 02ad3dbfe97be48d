import { DataError } from '../errors.js';
import { isUuid } from '../driver/text-format.js';

/** Returns the id in lower case, as the database returns it. Throws `invalid_value` if it is not a UUID. */
export function checkedId(id: string): string {
  if (isUuid(id)) return id.toLowerCase();
  throw new DataError('invalid_value', 'The id is not a UUID.');
}
