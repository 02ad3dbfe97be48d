import path from 'node:path';

const SHOWN = 10;

/** A Jest reporter that prints the slowest files at the end of a run. */
export default class SlowestFiles {
  onRunComplete(_contexts, { testResults }) {
    const times = testResults
      .map(({ testFilePath, perfStats }) => [perfStats.end - perfStats.start, testFilePath])
      .sort(([a], [b]) => b - a);
    const total = times.reduce((sum, [ms]) => sum + ms, 0);
    console.log(`\nThe slowest of ${times.length} files, which took ${seconds(total)} together:`);
    for (const [ms, file] of times.slice(0, SHOWN))
      console.log(`${seconds(ms)}  ${path.relative('.', file)}`);
  }
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(1).padStart(7)} s`;
}
