/** The longest time that one piece of work may keep the event loop to itself. */
const TURN_MS = 10;

const waiting: (() => void)[] = [];

/**
 * Resolves once the event loop has served everything else. In each round of the event loop only one
 * of the callers continues: many long pieces of work delay other requests no longer than one does.
 */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (waiting.push(resolve) === 1) setImmediate(continueOne);
  });
}

function continueOne(): void {
  waiting.shift()!();
  if (waiting.length > 0) setImmediate(continueOne);
}

/** Measures how long a piece of work has kept the event loop. Ask after each item of a loop. */
export class Turn {
  #endsAt = performance.now() + TURN_MS;

  get isOver(): boolean {
    return performance.now() > this.#endsAt;
  }

  async next(): Promise<void> {
    await nextTurn();
    this.#endsAt = performance.now() + TURN_MS;
  }
}

/** Maps a list, in as many parts as take a turn each. What is mapped to undefined is left out. */
export async function* mapInTurns<T, R>(
  items: readonly T[],
  map: (item: T) => R | undefined,
): AsyncGenerator<R[]> {
  const turn = new Turn();
  let part: R[] = [];
  for (const item of items) {
    const mapped = map(item);
    if (mapped !== undefined) part.push(mapped);
    if (!turn.isOver) continue;
    yield part;
    part = [];
    await turn.next();
  }
  if (part.length > 0) yield part;
}
