import { readlinkSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { descriptorOf } from '../internals/node.js';

/** Linux's tables of TCP sockets: proc(5). */
const TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6'];
const QUEUES = 4;
const INODE = 9;

/**
 * The bytes that the system keeps for connections until their clients acknowledge them: up to 4 MB each,
 * of which Node does not know. Only on Linux; elsewhere, and where the tables cannot be read, nothing.
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
      if (connection) found.set(connection, parseInt(columns[QUEUES]!, 16)); // up to the colon
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
