import type { Recognise } from './caller.js';

export const AUTH_OPTIONS = Symbol('AUTH_OPTIONS');

export interface AuthOptions {
  /** Names what is protected: the realm of WWW-Authenticate, and the first part of scopes such as `projects:read`. */
  realm: string;
  recognise: Recognise;
  /** Ends what `recognise` keeps open; called at application shutdown. */
  close?: () => void;
}
