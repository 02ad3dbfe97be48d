/**
 * Returns the processor time of a query after `queries` queries, divided by that of a query near the start. It uses
 * ten connections. A driver that does more work with every query gives a result above 1.
 *
 * If the result is not below `enough`, it measures up to four times as many further queries, because the speed of a
 * machine changes for a while. A driver that has become slower does not become fast again.
 */
export async function lateCost(
  queries: number,
  run: () => Promise<unknown>,
  enough = Infinity,
): Promise<number> {
  // Opens all connections, because unused connections make plain postgres.js slower.
  await Promise.all(Array.from({ length: 20 }, run));
  const costs: number[] = [];
  // Ignores the first measurement, during which the code is still compiled. The lowest cost is the least disturbed
  // one.
  const result = () => Math.min(...costs.slice(-4)) / Math.min(...costs.slice(1, 5));
  for (let done = 0; done < queries || (done < 5 * queries && result() >= enough); done += 8000) {
    let left = 8000;
    const before = process.cpuUsage();
    const runInTurn = async () => {
      while (left-- > 0) await run();
    };
    await Promise.all(Array.from({ length: 9 }, runInTurn));
    costs.push(process.cpuUsage(before).user);
  }
  return result();
}
