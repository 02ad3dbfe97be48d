/** What PostgreSQL's parser may make one token of with what stands beside it: `Node.js`, `CI/CD`, `a@b`, `-5`, `<b>`. */
const JOINING = /[-+./@<&]/g;
const TERM = /(-*)(?:"([^"]*)"?|([^\s"]+))/g;
const A_WORD = /[\p{L}\p{N}]/u;
const AROUND_A_WORD = /^[^\p{L}\p{N}]+|[^\p{L}\p{M}\p{N}]+$/gu;
const ONE_WORD = /^[\p{L}\p{M}\p{N}]+$/u;
const ACCENTS = /[\u0300-\u036f]/g;
/** A run of letters of a script without spaces, as functions/before-tables/search_grams.sql knows them. */
const SPACELESS =
  /[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u{20000}-\u{3ffff}]+/gu;

interface Term {
  isExcluded: boolean;
  /** As it is written for PostgreSQL; quoted, it is read as a phrase whatever it holds. */
  text: string;
}

/**
 * The one reading of `q`: terms with white space between them, all of which must hold. A term is a
 * word, or words in quotes, which must follow one another, and so must the parts of `Node.js`; with a
 * minus before it, it must not occur. `or` between two terms begins an alternative. What holds no
 * letter and no digit, a minus that stands alone among it, is passed over.
 *
 * Returns the same as a text that `websearch_to_tsquery` has only one reading of, and which reads
 * the same here; undefined if an alternative has no term that must occur. Words are told apart as
 * `project_search` does it (functions/before-tables/project_search.sql).
 */
export function searchText(q: string): string | undefined {
  const alternatives: Term[][] = [[]];
  const terms = termsOf(q.normalize('NFKC'));
  for (const [at, term] of terms.entries()) {
    const begun = alternatives.at(-1)!;
    if (isOr(term) && begun.length > 0 && at < terms.length - 1) alternatives.push([]);
    else begun.push(term);
  }
  if (!alternatives.every((all) => all.some(({ isExcluded }) => !isExcluded))) return undefined;
  return alternatives.map((all) => all.map(written).join(' ')).join(' or ');
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
 * Each run of a script without spaces as its overlapping pairs, which must follow one another. Its last
 * letter is one more only where the text goes on: there the run in the project must end as well.
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

/** In quotes, `or` is a word. */
function written(term: Term): string {
  const folded = term.text.normalize('NFD').replace(ACCENTS, '').toLowerCase(); // as the database reads it
  const text = folded === 'or' ? `"${term.text}"` : term.text;
  return `${term.isExcluded ? '-' : ''}${text}`;
}
