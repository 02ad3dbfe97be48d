import type { Recognise } from './caller.js';

export const AUTH_OPTIONS = Symbol('AUTH_OPTIONS');

export interface AuthOptions {
  /** The realm in WWW-Authenticate, and the first part of scopes such as `skills:read`. */
  realm: string;
  recognise: Recognise;
  /** Releases the resources of `recognise`. Called at application shutdown. */
  close?: () => void;
}
