/** The variables that set the address of a server. */
export interface AddressVariables {
  host: string;
  port: string;
}

/** Returns why a server cannot listen, and the remedy. */
export function listenFailure(error: unknown, { host, port }: AddressVariables): string {
  const { code, message } = error as NodeJS.ErrnoException;
  const unknownHost = `the host name cannot be resolved. Set ${host} to an address of this machine.`;
  const orAny = port === 'PORT' ? ', or to 0 for any free port' : '';
  const reasons: Record<string, string> = {
    EADDRINUSE: `the port is in use. Set ${port} to another one${orAny}.`,
    EACCES: `this user may not use the port. Set ${port} to 1024 or a higher number.`,
    EADDRNOTAVAIL: `this machine does not have the address. Set ${host} to an address of this machine, or to 0.0.0.0 for all of them.`,
    ENOTFOUND: unknownHost,
    EAI_AGAIN: unknownHost,
  };
  return reasons[code ?? ''] ?? message;
}
