import { DataError } from '../errors.js';
import { isUuid } from '../driver/text-format.js';

/** The id in lower case, as the database answers it. Throws `invalid_value` for what is no UUID. */
export function checkedId(id: string): string {
  if (isUuid(id)) return id.toLowerCase();
  throw new DataError('invalid_value', 'The id is not a UUID.');
}
