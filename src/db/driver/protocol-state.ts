/** The types of messages that a server sends (PostgreSQL documentation, "Message Formats"). */
const COMMAND_COMPLETE = 0x43; // C
const DATA_ROW = 0x44; // D
const READY_FOR_QUERY = 0x5a; // Z

const IDLE = 0x49; // I: in no transaction
const HEADER_BYTES = 5;

/**
 * Tracks the state that the server reports, from the same bytes that the driver reads, because the driver does
 * not expose it. It reads the bytes before the driver, so that its state is correct when a query settles.
 */
export class ProtocolState {
  /** True if the server is in a transaction, open or failed, according to its last ReadyForQuery. */
  inTransaction = false;
  /**
   * True if rows have arrived since the last completed command. postgres.js 3.4.9 counts rows and resets the
   * count only at CommandComplete, so after an error the result of the next statement begins with holes
   * (porsager/postgres issues 1119 and 1181).
   */
  hasUncountedRows = false;

  /** The number of bytes of the current message that are still to come and can be skipped. */
  #skip = 0;
  /** The beginning of a message whose header or status byte has not arrived yet. */
  #rest: Buffer | undefined;

  /** Reads the next bytes of the connection, in chunks of any length. */
  read(bytes: Buffer): void {
    const chunk = this.#rest ? Buffer.concat([this.#rest, bytes]) : bytes;
    this.#rest = undefined;
    let at = this.#skip;
    while (at + HEADER_BYTES <= chunk.length) {
      const type = chunk[at];
      if (type === READY_FOR_QUERY) {
        if (at + HEADER_BYTES === chunk.length) break;
        this.inTransaction = chunk[at + HEADER_BYTES] !== IDLE;
      } else if (type === DATA_ROW) this.hasUncountedRows = true;
      else if (type === COMMAND_COMPLETE) this.hasUncountedRows = false;
      at += 1 + chunk.readUInt32BE(at + 1);
    }
    this.#skip = Math.max(0, at - chunk.length);
    if (at < chunk.length) this.#rest = chunk.subarray(at);
  }
}
