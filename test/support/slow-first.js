import Sequencer from '@jest/test-sequencer';

/**
 * Starts the files of the project `slow` first. A new checkout knows no durations, and Jest would start small files
 * last, of which some take half a minute.
 */
export default class SlowFirst extends Sequencer {
  sort(tests) {
    const isSlow = ({ context }) => context.config.displayName.name === 'slow';
    return super.sort(tests).sort((a, b) => isSlow(b) - isSlow(a));
  }
}
