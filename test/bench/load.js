import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** V8 compiles the code of a service in its first seconds under load. */
export const WARM_UP_SECONDS = 8;

/** Rejects with the remedy if wrk is not installed. */
export async function requireWrk() {
  await run('wrk', ['-v']).catch((error) => {
    if (error.code !== 'ENOENT') return; // its -v exits with 1
    throw new Error('The load comes from wrk: apt-get install wrk');
  });
}

/**
 * Resolves with the requests a second over `seconds`, sent by one thread of wrk, for each of the ids in turn. Rejects
 * if an answer was not 2xx.
 */
export async function load({ port, scenario, ids, seconds, connections, directory }) {
  const script = path.join(directory, 'request.lua');
  writeFileSync(script, luaOf(scenario, ids));
  const { stdout } = await run('wrk', [
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    `-s${script}`,
    `http://127.0.0.1:${port}`,
  ]);
  const wrong = /Non-2xx.*|Socket errors.*/.exec(stdout);
  if (wrong) throw new Error(`${scenario.name}: ${wrong[0]}`);
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)[1]);
}

function luaOf({ method, target, body, headers = {} }, ids) {
  const targets = [...new Set(ids.map((id) => JSON.stringify(target(id))))];
  const all = { ...headers, ...(body && { 'Content-Type': 'application/json' }) };
  const fields = Object.entries(all).map(([name, value]) => `["${name}"] = "${value}"`);
  const text = body ? `[==[${JSON.stringify(body)}]==]` : 'nil';
  return `
    local requests, at = {}, 0
    init = function()
      for n, target in ipairs({ ${targets.join(', ')} }) do
        requests[n] = wrk.format("${method}", target, { ${fields.join()} }, ${text})
      end
    end
    request = function()
      at = at % #requests + 1
      return requests[at]
    end`;
}
