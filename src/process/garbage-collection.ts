import { setFlagsFromString } from 'node:v8';

/**
 * Makes V8 allocate new objects always in the young generation. By default, it allocates objects in the old generation
 * if most earlier ones from the same place in the code have survived (allocation site pretenuring). In a server, the
 * first requests can cause this. Then everything that such an object refers to also survives until a collection of the
 * old generation (docs/performance.md, "Garbage collection").
 *
 * Call it when the program has started: Node's compiled modules are only valid for the flags that it started with.
 */
export function allocateInYoungGeneration(): void {
  setFlagsFromString('--no-allocation-site-pretenuring');
}
