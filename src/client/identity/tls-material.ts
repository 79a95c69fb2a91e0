/**
 * Key, certificate and trust in the shapes that Node's TLS wants, always the current ones.
 *
 * Clients read their credentials from a SecureContext when a connection is made. `tls` carries one
 * whose inner context is exchanged at a renewal. So agents that copied the options long ago still
 * connect with the new certificate. Servers copy key and certificate when they are made, and are
 * therefore attached (see live-identity.ts).
 */

import { createSecureContext, type SecureContext } from "node:tls";
import type { Identity } from "./identity.ts";

/** What goes into `https.createServer`, `tls.connect`, `https.Agent` and undici's `connect`. */
export interface TlsOptions {
  readonly key: string;
  /** The certificate and its issuers, PEM. */
  readonly cert: string;
  /** The authority's root, PEM: the only one trusted. */
  readonly ca: string;
  /** With it, Node's clients pass over `minVersion`, `ciphers` and `ca` beside it in the options. */
  readonly secureContext: SecureContext;
  /**
   * Zero: a resumed session speaks for the certificate of its first handshake. An agent that
   * resumes would go on showing the old one after a renewal.
   */
  readonly maxCachedSessions: 0;
}

export class TlsMaterial {
  #identity: Identity;
  readonly #context: SecureContext;
  readonly options: TlsOptions;

  constructor(identity: Identity) {
    this.#identity = identity;
    this.#context = createSecureContext(secretsOf(identity));
    const self = this;
    this.options = {
      get key() {
        return self.#identity.set.key;
      },
      get cert() {
        return self.#identity.set.fullchain;
      },
      get ca() {
        return self.#identity.set.root;
      },
      secureContext: this.#context,
      maxCachedSessions: 0,
    };
  }

  /** From here on every new connection uses this identity. */
  exchange(identity: Identity): void {
    this.#identity = identity;
    // `context` is the native half of a SecureContext, and what each new TLSSocket takes from it.
    this.#context.context = createSecureContext(secretsOf(identity)).context;
  }

  /** What a server is given. */
  get secrets(): { readonly key: string; readonly cert: string; readonly ca: string } {
    return secretsOf(this.#identity);
  }
}

function secretsOf({ set }: Identity) {
  return { key: set.key, cert: set.fullchain, ca: set.root };
}
