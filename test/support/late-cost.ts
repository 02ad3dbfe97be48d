/**
 * The processor time of a query at the end of `queries` of them, divided by that of a query near the start.
 * Keeps ten connections in use. A driver that does more work with every query answers more than 1.
 */
export async function lateCost(queries: number, run: () => Promise<unknown>): Promise<number> {
  // Opens all connections: connections that are left idle make plain postgres.js slower.
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
  // Leaves the first out, while the code is still being compiled. The lowest cost is the least disturbed one.
  return Math.min(...costs.slice(-4)) / Math.min(...costs.slice(1, 5));
}
