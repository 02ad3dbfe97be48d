import { readFileSync, writeFileSync } from 'node:fs';

/** Writes a report between the markers of its kind, such as `<!-- bench -->`, in a document of docs/. */
export function writeReport(kind, text, file = 'docs/performance.md') {
  const [begin, end] = [`<!-- ${kind} -->\n`, `<!-- /${kind} -->`];
  const old = readFileSync(file, 'utf8');
  const [from, to] = [old.indexOf(begin) + begin.length, old.indexOf(end)];
  if (from < begin.length || to < 0) throw new Error(`${file} lacks the markers of ${kind}.`);
  writeFileSync(file, `${old.slice(0, from)}\n${text}\n${old.slice(to)}`);
}
