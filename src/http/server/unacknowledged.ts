import { readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { descriptorOf } from '../internals/node.js';

/** The tables of TCP sockets on Linux: proc(5). */
const TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6'];
const QUEUES = 4;
const INODE = 9;

/**
 * Returns the bytes that the system keeps for connections until their clients acknowledge them: up to 4 MB each,
 * which Node does not know. It works only on Linux. On other systems, and if the tables cannot be read, the result is
 * empty.
 */
export async function unacknowledgedBytes(
  connections: Iterable<Socket>,
): Promise<Map<Socket, number>> {
  const byInode = new Map<string, Socket>();
  const found = new Map<Socket, number>();
  if (process.platform !== 'linux') return found;
  for (const connection of connections) {
    const inode = inodeOf(connection);
    if (inode !== undefined) byInode.set(inode, connection);
  }
  for (const table of byInode.size > 0 ? TABLES : []) {
    for (const line of (await readFile(table, 'latin1').catch(() => '')).split('\n')) {
      const columns = line.trim().split(/ +/);
      const connection = byInode.get(columns[INODE] ?? '');
      if (connection) found.set(connection, parseInt(columns[QUEUES]!, 16)); // the address ends at the colon
    }
  }
  return found;
}

function inodeOf(connection: Socket): string | undefined {
  try {
    return /\d+/.exec(readlinkSync(`/proc/self/fd/${descriptorOf(connection)}`))?.[0];
  } catch {
    return undefined;
  }
}
