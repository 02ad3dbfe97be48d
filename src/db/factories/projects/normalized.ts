import type { NewProject } from '../../schema.js';

type Texts = Partial<Pick<NewProject, 'name' | 'description' | 'technologies'>>;

/** Unicode normalization form C: texts that look alike are alike, whichever system wrote them. */
export function nfc(text: string): string {
  return text.normalize('NFC');
}

/** The texts of a project as they are stored; `project_search` refuses any other form. */
export function normalized<T extends Texts>(values: T): T {
  const { name, description, technologies } = values;
  return {
    ...values,
    ...(typeof name === 'string' && { name: nfc(name) }),
    ...(typeof description === 'string' && { description: nfc(description) }),
    ...(Array.isArray(technologies) && {
      technologies: technologies.map((text) => text.normalize()),
    }),
  };
}
