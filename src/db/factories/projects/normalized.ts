import { DataError } from '../../errors.js';
import type { NewProject } from '../../schema.js';

type Texts = Partial<Pick<NewProject, 'name' | 'description' | 'technologies'>>;

/** Unicode normalization form C: texts that look alike are alike, whichever system wrote them. */
export function nfc(text: string): string {
  return text.normalize('NFC');
}

/**
 * The texts of a project as they are stored; `project_search` refuses any other form. Throws
 * `invalid_value` for a technology that is named twice.
 */
export function normalized<T extends Texts>(values: T): T {
  const { name, description, technologies } = values;
  return {
    ...values,
    ...(typeof name === 'string' && { name: nfc(name) }),
    ...(typeof description === 'string' && { description: nfc(description) }),
    ...(Array.isArray(technologies) && { technologies: distinct(technologies) }),
  };
}

/** The database would call a repeated one an entry that exists already. */
function distinct(technologies: string[]): string[] {
  const texts = technologies.map(nfc);
  if (new Set(texts).size === texts.length) return texts;
  throw new DataError('invalid_value', 'A technology is named twice.');
}
