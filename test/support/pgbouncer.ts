import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { until } from './connections.js';
import { freePort } from './free-port.js';

export interface Pgbouncer {
  /** The URL of the same database through the pooler. */
  through(databaseUrl: string): string;
  /** The URL of the same database by its Unix socket. */
  throughSocket(databaseUrl: string): string;
  /** Freezes the pooler, so that it answers nobody. */
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
}

interface PgbouncerOptions {
  /** The maximum number of connections to each database. */
  connections: number;
  /** The server that it connects to; default: the PostgreSQL of the tests. */
  serverUrl?: string;
  /** Files with a key and a certificate, for clients that use TLS. */
  tls?: { key: string; certificate: string };
}

/** Starts pgbouncer in transaction mode in front of a PostgreSQL. */
export async function startPgbouncer(
  program: string,
  { connections, serverUrl = process.env.TEST_DATABASE_URL!, tls }: PgbouncerOptions,
): Promise<Pgbouncer> {
  const server = new URL(serverUrl);
  const [user, password] = [server.username, server.password].map(decodeURIComponent);
  const port = await freePort();
  const folder = await mkdtemp(path.join(tmpdir(), 'projects-service-pgbouncer-'));
  await chmod(folder, 0o777); // pgbouncer runs as another user
  const file = path.join(folder, 'pgbouncer.ini');
  await writeFile(
    file,
    `[databases]
* = host=${server.hostname} port=${server.port || 5432} user=${user} ${password && `password=${password}`}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir = ${folder}
auth_type = any
pool_mode = transaction
default_pool_size = ${connections}
server_login_retry = 1
${tls ? `client_tls_sslmode = allow\nclient_tls_key_file = ${tls.key}\nclient_tls_cert_file = ${tls.certificate}` : ''}
`,
  );
  const asNobody = process.getuid?.() === 0 ? ['--user', 'nobody'] : []; // pgbouncer refuses to run as root
  const child = spawn(program, ['--quiet', ...asNobody, file]);
  const said = text(child.stderr);
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`pgbouncer ended: ${await said}`);
    return await isListening(port);
  }, 10_000);
  return {
    through: (databaseUrl) => {
      const url = new URL(databaseUrl);
      url.host = `127.0.0.1:${port}`;
      return url.href;
    },
    throughSocket: (databaseUrl) => {
      const url = new URL(databaseUrl);
      url.host = `${encodeURIComponent(folder)}:${port}`;
      return url.href;
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    stop: async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      await rm(folder, { recursive: true });
    },
  };
}

async function isListening(port: number): Promise<boolean> {
  const socket = net.connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
