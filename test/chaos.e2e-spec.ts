import { prove } from './chaos/proof.js';

it('failovers and a rolling restart under load lose no write, repeat none and show no stale read', async () => {
  const proof = await prove({ failovers: 2, writers: 4, instances: 2 });
  expect(proof.faults).toEqual([]);
  expect(proof.changes).toBe(proof.writes);
  expect(proof.reads).toBeGreaterThan(100);
  expect(proof.restart.requests).toBeGreaterThan(100);
}, 600_000);
