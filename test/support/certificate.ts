import { execFile } from 'node:child_process';
import { chmod } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { createFolder } from './process.js';

/** Creates a key and a certificate for localhost that is valid for a day, in files that every user can read. */
export async function createCertificate(openssl: string) {
  const folder = await createFolder();
  const files = {
    key: path.join(folder, 'server.key'),
    certificate: path.join(folder, 'server.crt'),
  };
  const what = 'req -x509 -nodes -newkey rsa:2048 -subj /CN=localhost -days 1'.split(' ');
  await promisify(execFile)(openssl, [...what, '-keyout', files.key, '-out', files.certificate]);
  await chmod(files.key, 0o644);
  return files;
}
