/** Characters that PostgreSQL's parser may join with their neighbours to one token: `Node.js`, `CI/CD`, `a@b`, `-5`, `~5`, `<b>`. */
const JOINING = /[-+./@<&~]/g;
/** Soft hyphens, joiners and other characters that readers do not see, the same as functions/before-tables/fold_accents.sql. */
const INVISIBLE = /[\u00ad\u200c-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]/g;
/** The zero-width space, and signs that normalization would turn into letters of the word before them. */
const SEPARATING = /[\u200b™℠]/g;
const TERM = /(-*)(?:"([^"]*)"?|([^\s"]+))/g;
const A_WORD = /[\p{L}\p{N}]/u;
const AROUND_A_WORD = /^[^\p{L}\p{N}]+|[^\p{L}\p{M}\p{N}]+$/gu;
const ONE_WORD = /^[\p{L}\p{M}\p{N}]+$/u;
const ACCENTS = /[\u0300-\u036f]/g;
/** Matches letters of a script without spaces, the same as functions/before-tables/search_grams.sql. */
const SPACELESS =
  /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\uf900-\ufaff\u{20000}-\u{3ffff}]+/gu;

interface Term {
  isExcluded: boolean;
  /** The text for PostgreSQL. A quoted text is always a phrase. */
  text: string;
}

/**
 * Parses the search text `q`. It consists of terms that are separated by white space and must all match. A
 * term is a word, or a phrase in quotes, whose words must follow one another; so must the parts of
 * `Node.js`. A term after a minus must not occur. `or` between two terms begins an alternative. Terms
 * without a letter or a digit, such as a lone minus, are ignored.
 *
 * Returns an equivalent text that `websearch_to_tsquery` cannot interpret differently, and that this
 * function would not change again; undefined if an alternative has no required term. Words are split in the
 * same way as in `project_search` (functions/before-tables/project_search.sql).
 */
export function searchText(q: string): string | undefined {
  const alternatives = alternativesOf(q);
  if (!alternatives.every(hasRequired)) return undefined;
  return alternatives.map((all) => all.map(written).join(' ')).join(' or ');
}

/** Returns why `searchText` refuses the text, as the end of a sentence; undefined if it does not. */
export function searchFault(q: string): string | undefined {
  const alternatives = alternativesOf(q);
  if (alternatives.every(hasRequired)) return undefined;
  if (alternatives.flat().length === 0) return 'must contain a letter or a digit';
  const where = alternatives.length > 1 ? ' on each side of an "or"' : '';
  return `must contain a word without a minus${where}`;
}

function hasRequired(terms: Term[]): boolean {
  return terms.some(({ isExcluded }) => !isExcluded);
}

function alternativesOf(q: string): Term[][] {
  const alternatives: Term[][] = [[]];
  const visible = q.replace(INVISIBLE, '').replace(SEPARATING, ' ');
  const terms = termsOf(visible.normalize('NFKC'));
  for (const [at, term] of terms.entries()) {
    const begun = alternatives.at(-1)!;
    if (isOr(term) && begun.length > 0 && at < terms.length - 1) alternatives.push([]);
    else begun.push(term);
  }
  return alternatives;
}

function termsOf(q: string): Term[] {
  return [...q.matchAll(TERM)]
    .map(([, minus, phrase, word]) => ({
      isExcluded: minus !== '',
      text: phrase === undefined ? wordText(word!) : `"${inGrams(apart(phrase))}"`,
    }))
    .filter(({ text }) => A_WORD.test(text));
}

function wordText(word: string): string {
  const text = inGrams(apart(word).replace(AROUND_A_WORD, ''));
  return ONE_WORD.test(text) ? text : `"${text}"`;
}

function apart(text: string): string {
  return text.replace(JOINING, ' ').trim();
}

/**
 * Replaces each run of letters of a script without spaces by its overlapping pairs. The last letter is added
 * as a single one only if the text continues after the run, because then the run must end there in the
 * project too.
 */
function inGrams(text: string): string {
  return text
    .replace(SPACELESS, (run, offset: number) => {
      const letters = [...run];
      const grams = letters.slice(1).map((letter, i) => letters[i]! + letter);
      const goesOn = A_WORD.test(text.slice(offset + run.length));
      if (goesOn || letters.length === 1) grams.push(letters.at(-1)!);
      return ` ${grams.join(' ')} `;
    })
    .trim();
}

function isOr({ isExcluded, text }: Term): boolean {
  return !isExcluded && text.toLowerCase() === 'or';
}

/** Formats a term for PostgreSQL. The word `or` is put in quotes, so that it is not an operator. */
function written(term: Term): string {
  const folded = term.text.normalize('NFD').replace(ACCENTS, '').toLowerCase(); // as the database reads it
  const text = folded === 'or' ? `"${term.text}"` : term.text;
  return `${term.isExcluded ? '-' : ''}${text}`;
}
