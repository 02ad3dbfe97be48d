import { isIPv4 } from 'node:net';

/** Splits a variable at its commas. */
export function listOf(text: string | undefined): string[] {
  return text === undefined ? [] : text.split(',').map((part) => part.trim());
}

/** Splits at commas before a scheme. Any other comma is part of a URL. */
export function splitUrls(text: string): string[] {
  return text.split(/,(?=\s*postgres(?:ql)?:)/).map((url) => url.trim());
}

/** True if a host name or address means this machine. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}
