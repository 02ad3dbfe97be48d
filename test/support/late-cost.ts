/**
 * Returns the processor time of a query after `queries` queries, divided by that of a query near the start. It uses
 * ten connections. A driver that does more work with every query gives a result above 1.
 */
export async function lateCost(queries: number, run: () => Promise<unknown>): Promise<number> {
  // Opens all connections, because unused connections make plain postgres.js slower.
  await Promise.all(Array.from({ length: 20 }, run));
  const costs: number[] = [];
  for (let done = 0; done < queries; done += 8000) {
    let left = 8000;
    const before = process.cpuUsage();
    const runInTurn = async () => {
      while (left-- > 0) await run();
    };
    await Promise.all(Array.from({ length: 9 }, runInTurn));
    costs.push(process.cpuUsage(before).user);
  }
  // Ignores the first measurement, during which the code is still compiled. The lowest cost is the least disturbed
  // one.
  return Math.min(...costs.slice(-4)) / Math.min(...costs.slice(1, 5));
}
