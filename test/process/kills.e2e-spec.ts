import { built } from '../support/built.js';
import { createFolder, killServices } from '../support/process.js';
import { prove } from '../soak/proof.js';

interface Proof {
  writes: number;
  changes: number;
  faults: string[];
}

afterAll(killServices);

it('writers that retry lose nothing and execute nothing twice while service and database are killed', async () => {
  await built();
  const directory = await createFolder();
  const proof = (await prove({ directory, writers: 4, kills: 2 })) as Proof;
  expect(proof.faults).toEqual([]);
  expect(proof.writes).toBeGreaterThan(4);
  expect(proof.changes).toBe(proof.writes);
}, 180_000);
