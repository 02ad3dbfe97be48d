import type { Rows } from './postgres-js.js';

/** Runs a statement. With `values` each row is a list of its columns. */
export type Run = (text: string, params: unknown[], values: boolean) => Promise<Rows>;

/** A query that runs once, when it is awaited, like a query of postgres.js. */
export class PendingQuery implements PromiseLike<Rows> {
  #rows: Promise<Rows> | undefined;

  constructor(
    private readonly run: Run,
    private readonly text: string,
    private readonly params: unknown[],
  ) {}

  values(): Promise<Rows> {
    return (this.#rows ??= this.run(this.text, this.params, true));
  }

  then<A, B>(
    onResult?: ((rows: Rows) => A | PromiseLike<A>) | null,
    onError?: ((error: unknown) => B | PromiseLike<B>) | null,
  ) {
    return (this.#rows ??= this.run(this.text, this.params, false)).then(onResult, onError);
  }
}
