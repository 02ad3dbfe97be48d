import { DatabaseUrlError } from './url-error.js';

type Parameters = Record<string, string>;

/** The parameters that parseDatabaseUrl and tlsOf read. */
const READ = new Set(
  `host port user password dbname connect_timeout application_name fallback_application_name options
   ssl sslmode sslrootcert sslcert sslkey sslcrl sslpassword`.split(/\s+/),
);

/** Parameters of libpq with the values that request the default behaviour. */
const WITHOUT_EFFECT = new Map(
  Object.entries({
    channel_binding: ['prefer', 'disable'],
    gssencmode: ['prefer', 'disable'],
    client_encoding: ['utf8', 'UTF8', 'utf-8', 'UTF-8', 'auto'],
    target_session_attrs: ['primary', 'read-write'],
    load_balance_hosts: ['disable'],
    sslnegotiation: ['postgres'],
    sslcompression: ['0'],
    sslcertmode: ['allow'],
    sslsni: ['1'],
    keepalives: ['1'],
    uselibpqcompat: ['true'],
  }),
);

/** Settings of the server that a session may set at its start. Those of extensions have a dot in their names. */
const SETTINGS = new Set(
  `search_path role lock_timeout transaction_timeout default_transaction_isolation
   default_transaction_read_only default_transaction_deferrable synchronous_commit work_mem
   maintenance_work_mem temp_buffers hash_mem_multiplier jit plan_cache_mode row_security
   idle_session_timeout session_replication_role default_text_search_config log_statement
   log_min_duration_statement effective_io_concurrency max_parallel_workers_per_gather`.split(
    /\s+/,
  ),
);

/** The alternatives for common parameters and values that are not supported. */
const INSTEAD = new Map(
  Object.entries({
    schema: 'write search_path instead',
    currentSchema: 'write search_path instead',
    pgbouncer: 'remove it and set DATABASE_PREPARE=false (prepare: false in code)',
    prepare: 'remove it and set DATABASE_PREPARE (prepare in code)',
    connection_limit: 'remove it and set DATABASE_MAX_CONNECTIONS (max in code)',
    max: 'remove it and set DATABASE_MAX_CONNECTIONS (max in code)',
    pool_timeout: 'remove it and set DATABASE_ACQUIRE_TIMEOUT_MS (acquire_timeout_ms in code)',
    idle_timeout: 'remove it and set DATABASE_IDLE_TIMEOUT (idle_timeout in code)',
    statement_timeout:
      'remove it and set DATABASE_STATEMENT_TIMEOUT_MS (statement_timeout_ms in code)',
    idle_in_transaction_session_timeout: 'remove it and set transaction_timeout_ms in code',
    sslaccept: 'write sslmode=no-verify or sslmode=verify-full instead',
    channel_binding: 'remove it; sslmode=verify-full verifies the server',
    gssencmode: 'remove it and write sslmode=require',
    client_encoding: 'remove it: the encoding is always UTF8',
    target_session_attrs:
      'remove it or write primary: only a server that accepts writes is used (accept_standby in code)',
    load_balance_hosts: 'remove it: the hosts are tried in their order',
    hostaddr: 'write the address as the host',
    passfile: 'write the password into the URL or into PGPASSWORD',
    service: 'write its host, user and database into the URL',
    servicefile: 'write host, user and database into the URL',
    requiressl: 'write sslmode=require instead',
    timezone: 'remove it: the service asks for times in UTC',
    datestyle: 'remove it: the service asks for dates as ISO 8601',
    application_name: 'write application_name as a separate parameter',
  }),
);

/** Parameters of libpq that are not settings of the server. */
const LIBPQ_ONLY =
  /^(keepalives|keepalives_.*|tcp_user_timeout|replication|require_auth|requirepeer|ssl.*|(min|max)_protocol_version|krbsrvname|gss.*|scram_.*|oauth_.*)$/;

/** The settings that every session sets itself, so that `options` cannot change them. */
const SET_BY_SERVICE = new Set(
  `statement_timeout idle_in_transaction_session_timeout timezone datestyle client_encoding
   application_name`.split(/\s+/),
);

/** Throws DatabaseUrlError with the name of a parameter that would be ignored or have another meaning. */
export function checkParameters(parameters: Parameters): void {
  for (const [name, value] of Object.entries(parameters)) {
    if (!/^[A-Za-z_][\w.]{0,62}$/.test(name)) {
      throw new DatabaseUrlError('has a parameter without a name: write & in a value as %26');
    }
    if (WITHOUT_EFFECT.get(name)?.includes(value)) continue;
    if (isKnown(name) || name.includes('.')) continue;
    const what = WITHOUT_EFFECT.has(name) ? `a value of "${name}"` : `a parameter "${name}"`;
    throw new DatabaseUrlError(`has ${what} that is not supported: ${insteadOf(name)}`);
  }
  checkOptions(parameters.options ?? '');
  const { connect_timeout: timeout } = parameters;
  if (timeout !== undefined && !/^\d+$/.test(timeout)) {
    throw new DatabaseUrlError('has a connect_timeout that is not a number of seconds');
  }
}

function isKnown(name: string): boolean {
  return READ.has(name) || SETTINGS.has(name);
}

function insteadOf(name: string): string {
  const known = INSTEAD.get(name) ?? INSTEAD.get(name.toLowerCase());
  if (known) return known;
  const lower = name.toLowerCase();
  if (name !== lower && isKnown(lower)) return `write ${lower}, in lower case`;
  if (LIBPQ_ONLY.test(lower)) return 'remove it';
  return `remove it, or write options=-c%20${name}%3Dvalue for a setting of the server`;
}

/** In `options`, settings have the form `-c name=value`, `-cname=value` or `--name=value`. */
function checkOptions(options: string): void {
  for (const [, name] of options.matchAll(/(?:^|\s)(?:-c\s*|--)([\w.-]+)\s*=/g)) {
    const setting = name!.replaceAll('-', '_').toLowerCase();
    if (!SET_BY_SERVICE.has(setting)) continue;
    throw new DatabaseUrlError(
      `sets "${setting}" in its options, which is not supported: ${insteadOf(setting)}`,
    );
  }
}

/** Returns the settings of the server for the start of a session. */
export function sessionSettings(parameters: Parameters): Record<string, string> {
  const name = parameters.application_name ?? parameters.fallback_application_name;
  const settings = Object.entries(parameters).filter(
    ([key]) => key === 'options' || SETTINGS.has(key) || key.includes('.'),
  );
  return { ...Object.fromEntries(settings), ...(name && { application_name: name }) };
}
