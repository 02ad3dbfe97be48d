import { execFileSync } from 'node:child_process';

/** Returns the path of a version of Node, installed by npm. */
export function nodeOf(version) {
  const args = ['-y', '-p', `node@${version}`, '-c', 'node -p process.execPath'];
  return execFileSync('npx', args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim();
}

/** The version, such as 24.1.0. */
export function versionOf(node) {
  return execFileSync(node, ['-v'], { encoding: 'utf8' }).trim().slice(1);
}
