/**
 * A certificate provider in the shape of `@grpc/grpc-js`. The shape is written down here, since the
 * library imports no framework.
 */

import type { IdentitySet } from "../identity/files.ts";

type CaListener = (update: { caCertificate: Buffer } | null) => void;
type IdentityListener = (update: { certificate: Buffer; privateKey: Buffer } | null) => void;

/** `experimental.CertificateProvider` of `@grpc/grpc-js`. */
export interface CertificateProvider {
  addCaCertificateListener(listener: CaListener): void;
  removeCaCertificateListener(listener: CaListener): void;
  addIdentityCertificateListener(listener: IdentityListener): void;
  removeIdentityCertificateListener(listener: IdentityListener): void;
}

/**
 * Tells its listeners what `current` gives: at first when they come, and at each `tell`. It is among
 * `listening` as long as it has listeners.
 */
export class LiveProvider implements CertificateProvider {
  readonly #current: () => IdentitySet;
  readonly #listening: Set<LiveProvider>;
  readonly #caListeners = new Set<CaListener>();
  readonly #identityListeners = new Set<IdentityListener>();

  constructor(current: () => IdentitySet, listening: Set<LiveProvider>) {
    this.#current = current;
    this.#listening = listening;
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#caListeners.add(listener);
    this.#listening.add(this);
    // Not before the caller has returned: gRPC registers its servers only then.
    process.nextTick(() => this.#caListeners.has(listener) && this.#tellCa(listener));
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#caListeners.delete(listener);
    this.#rest();
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.add(listener);
    this.#listening.add(this);
    process.nextTick(() => this.#identityListeners.has(listener) && this.#tellIdentity(listener));
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#identityListeners.delete(listener);
    this.#rest();
  }

  #rest(): void {
    if (this.#caListeners.size + this.#identityListeners.size === 0) this.#listening.delete(this);
  }

  tell(): void {
    for (const listener of this.#caListeners) this.#tellCa(listener);
    for (const listener of this.#identityListeners) this.#tellIdentity(listener);
  }

  #tellCa(listener: CaListener): void {
    listener({ caCertificate: Buffer.from(this.#current().root) });
  }

  #tellIdentity(listener: IdentityListener): void {
    const { fullchain, key } = this.#current();
    listener({ certificate: Buffer.from(fullchain), privateKey: Buffer.from(key) });
  }
}
