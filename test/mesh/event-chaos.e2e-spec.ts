import { proveEvents } from '../chaos/events.js';
import { built } from '../support/built.js';
import { withProgram } from '../support/needs.js';
import { createFolder, killServices } from '../support/process.js';

interface Proof {
  changes: number;
  events: number;
  idleFreezes: number;
  faults: string[];
}

const nats = withProgram('nats-server');
afterAll(killServices);

nats.it(
  'every change is an event once, in order, while holder, broker and database are killed and holders frozen',
  async () => {
    await built();
    const directory = await createFolder();
    const options = { directory, natsServer: nats.file, changes: 200, kills: 2 };
    const proof = (await proveEvents(options)) as Proof;
    expect(proof.faults).toEqual([]);
    expect(proof.changes).toBe(200);
    expect(proof.events).toBe(200);
    expect(proof.idleFreezes).toBe(1);
  },
  400_000,
);
