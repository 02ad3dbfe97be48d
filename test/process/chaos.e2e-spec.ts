import { prove } from '../chaos/proof.js';
import { proveReads } from '../chaos/reads.js';

it('failovers and a rolling restart under load lose no write, repeat none and show no stale read', async () => {
  const proof = await prove({ failovers: 2, writers: 4, instances: 2 });
  expect(proof.faults).toEqual([]);
  expect(proof.changes).toBe(proof.writes);
  expect(proof.reads).toBeGreaterThan(100);
  expect(proof.restart.requests).toBeGreaterThan(100);
}, 600_000);

it('no read with a token is stale over two replicas whose replay is paused again and again', async () => {
  const proof = await proveReads({ reads: 1000 });
  expect(proof.faults).toEqual([]);
  expect(proof.reads).toBeGreaterThanOrEqual(1000);
  expect(proof.onReplicas).toBeGreaterThan(0);
}, 600_000);
