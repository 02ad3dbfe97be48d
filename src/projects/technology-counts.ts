import { createTechnologiesFactory, MAX_NOTES } from '../db/factories/technologies.factory.js';
import type { HousekeepingTask } from '../db/housekeeping.js';

/** The periodic task that merges noted changes into the counts of technologies. */
export const TECHNOLOGY_COUNTS: HousekeepingTask = {
  name: 'technologies',
  // Fewer than the maximum means that nothing is left. Otherwise a busy service would fold after each write.
  step: async (tx) => {
    const folded = await createTechnologiesFactory(tx).foldChanges();
    return folded < MAX_NOTES ? 0 : folded;
  },
};
