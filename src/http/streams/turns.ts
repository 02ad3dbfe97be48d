/** The longest time that one piece of work may block the event loop. */
const TURN_MS = 10;

const waiting: (() => void)[] = [];

/**
 * Yields to the event loop. Only one of the waiting callers continues in each turn of the event loop, so
 * that many long pieces of work delay other requests no longer than one does.
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

/** Measures how long a piece of work has blocked the event loop. Check `isOver` after each item of a loop. */
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

/** Maps a list in parts and yields to the event loop between them. Items that map to undefined are left out. */
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
