import { prove } from '../chaos/proof.js';
import { proveReads } from '../chaos/reads.js';

it('no write is lost or repeated and no read is stale during failovers and a rolling restart under load', async () => {
  const proof = await prove({ failovers: 2, writers: 4, instances: 2 });
  expect(proof.faults).toEqual([]);
  expect(proof.changes).toBe(proof.writes);
  expect(proof.reads).toBeGreaterThan(100);
  expect(proof.restart.requests).toBeGreaterThan(100);
}, 600_000);

it('no read with a token is stale on two replicas whose replay is paused repeatedly', async () => {
  const proof = await proveReads({ reads: 1000 });
  expect(proof.faults).toEqual([]);
  expect(proof.reads).toBeGreaterThanOrEqual(1000);
  expect(proof.onReplicas).toBeGreaterThan(0);
}, 600_000);
