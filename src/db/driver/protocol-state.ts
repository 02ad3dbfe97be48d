/** Types of messages that a server sends (PostgreSQL documentation, "Message Formats"). */
const COMMAND_COMPLETE = 0x43; // C
const DATA_ROW = 0x44; // D
const READY_FOR_QUERY = 0x5a; // Z

const IDLE = 0x49; // I: in no transaction
const HEADER_BYTES = 5;

/**
 * Follows what the server says about its own state, in the bytes that the driver reads too. The driver
 * knows the same and tells neither. Read before the driver, so that both are right when a query settles.
 */
export class ProtocolState {
  /** The server is in a transaction, open or failed, by its last ReadyForQuery. */
  inTransaction = false;
  /**
   * Rows came since the last command that completed. postgres.js 3.4.9 counts them and sets the count
   * back in CommandComplete only, so that after an error they become holes before the rows of the next
   * statement (porsager/postgres issues 1119 and 1181).
   */
  hasUncountedRows = false;

  /** Bytes of the current message that are still to come and need no look. */
  #skip = 0;
  /** The beginning of a message whose header, or status byte, has not come yet. */
  #rest: Buffer | undefined;

  /** Takes the next bytes of the connection, cut anywhere. */
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
