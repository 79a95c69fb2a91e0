/** An identity that renews itself while a service runs. */

import { EventEmitter } from "node:events";
import type { Agent, AgentOptions, ServerOptions } from "node:https";
import type { SecureContextOptions } from "node:tls";
import { type ServerFactory, serverFactory } from "../adapters/fastify.ts";
import { type CertificateProvider, LiveProvider } from "../adapters/grpc.ts";
import { PerCertificate } from "../adapters/per-certificate.ts";
import { RenewingAgent } from "../renewal/renewing-agent.ts";
import { type Identity, type IdentityStanding, standingOf } from "./identity.ts";
import { TlsMaterial, type TlsOptions } from "./tls-material.ts";

export interface LiveStatus extends IdentityStanding {
  readonly state: "fine" | "due" | "expired";
  /** When it will be renewed; undefined until that is planned. */
  readonly due: Date | undefined;
  /** How often it was replaced since the start. */
  readonly renewals: number;
  /** Failed attempts since the last success. */
  readonly failures: number;
  readonly lastError: Error | undefined;
  readonly nextAttempt: Date | undefined;
}

interface Events {
  /** Another certificate is in use. */
  renewed: [status: LiveStatus];
  /** An attempt failed; the certificate in use stays, and the next attempt is planned. */
  failed: [error: Error, status: LiveStatus];
}

/** Anything with Node's `setSecureContext`: https.Server, tls.Server, http2's secure server. */
interface AttachableServer {
  setSecureContext(options: SecureContextOptions): void;
  once(event: "close", listener: () => void): unknown;
}

export class LiveIdentity extends EventEmitter<Events> {
  #identity: Identity;
  readonly #material: TlsMaterial;
  readonly #stop: () => Promise<void>;
  readonly #servers = new Map<AttachableServer, SecureContextOptions>();
  readonly #agents = new Set<WeakRef<RenewingAgent>>();
  readonly #providers = new Set<LiveProvider>();
  readonly #perCertificate = new Set<{ retire(): void }>();
  #due: Date | undefined;
  #renewals = 0;
  #failures = 0;
  #lastError: Error | undefined;
  #nextAttempt: Date | undefined;

  /** Made by `autoRenew`; `stop` ends its loop. */
  constructor(identity: Identity, stop: () => Promise<void>) {
    super();
    this.#identity = identity;
    this.#material = new TlsMaterial(identity);
    this.#stop = stop;
  }

  /**
   * For `https.createServer`, `tls.connect`, `new https.Agent`, undici's `connect`; may be spread
   * into other options. New connections of clients follow a renewal by themselves; a server is
   * attached once, see `attach`.
   */
  get tls(): TlsOptions {
    return this.#material.options;
  }

  /** The root and the issuers below it, PEM: what `revocationGuard` takes as `ca`. */
  get trust(): string {
    return this.#identity.set.root + this.#identity.set.chain;
  }

  /**
   * Gives a live server each new certificate. Open connections stay as they are. `options` are
   * those of the server's own TLS settings beyond the identity (`ciphers`, `minVersion`, another
   * `ca` …): Node takes all of them anew at each exchange. Ends with the server, or by the function
   * that comes back.
   */
  attach(server: AttachableServer, options: SecureContextOptions = {}): () => void {
    const detach = () => void this.#servers.delete(server);
    this.#servers.set(server, options);
    server.once("close", detach);
    return detach;
  }

  /** An agent whose idle connections are replaced at a renewal; keepAlive is on. */
  agent(options: AgentOptions = {}): Agent {
    const agent = new RenewingAgent({ ...options, ...this.tls });
    this.#agents.add(new WeakRef(agent));
    return agent;
  }

  /**
   * For Fastify's option `serverFactory`, with the TLS options of the server beyond the identity.
   * Fastify opens a second server of its own when it listens on `localhost`, which nobody else can
   * attach; with a factory it opens none.
   */
  serverFactory(options: ServerOptions = {}): ServerFactory {
    return serverFactory({ ...this.tls, ...options }, (server) => this.attach(server, options));
  }

  /**
   * For the certificate providers of `@grpc/grpc-js`, of a server and of a channel: CA and identity
   * both. One for each, since channels with the same provider share their connections.
   */
  certificateProvider(): CertificateProvider {
    return new LiveProvider(() => this.#identity.set, this.#providers);
  }

  /**
   * For what keeps connections and follows no renewal by itself: undici's Agent, an HTTP/2 session,
   * a gRPC client. `make` is called for each certificate, and `end` gets the old one when its last
   * request has ended. A failure of `end` becomes a process warning.
   *
   * @example
   * const pool = identity.perCertificate(() => new Agent({ connect: identity.tls }), (old) => old.close());
   * const text = await pool.use(async (dispatcher) => (await fetch(url, { dispatcher })).text());
   */
  perCertificate<T>(make: () => T, end: (old: T) => unknown): PerCertificate<T> {
    const kept = new PerCertificate(make, end, () => this.#perCertificate.delete(kept));
    this.#perCertificate.add(kept);
    return kept;
  }

  status(now = new Date()): LiveStatus {
    const standing = standingOf(this.#identity);
    const due = this.#due !== undefined && this.#due <= now;
    return {
      ...standing,
      state: standing.notAfter < now ? "expired" : due ? "due" : "fine",
      due: this.#due,
      renewals: this.#renewals,
      failures: this.#failures,
      lastError: this.#lastError,
      nextAttempt: this.#nextAttempt,
    };
  }

  /** Ends the renewals. What was given out keeps working with the last certificate. */
  async close(): Promise<void> {
    await this.#stop();
    this.#servers.clear();
    this.removeAllListeners();
  }

  /** Called by the loop. */
  adopt(identity: Identity): void {
    this.#identity = identity;
    this.#renewals += 1;
    this.#failures = 0;
    this.#lastError = undefined;
    this.#nextAttempt = undefined;
    this.#material.exchange(identity);
    for (const [server, options] of this.#servers) {
      const { key, cert, ca } = this.#material.secrets;
      server.setSecureContext({ ca, ...options, key, cert });
    }
    for (const reference of this.#agents) {
      const agent = reference.deref();
      if (agent === undefined) this.#agents.delete(reference);
      else agent.retireConnections();
    }
    for (const provider of this.#providers) provider.tell();
    for (const kept of this.#perCertificate) kept.retire();
    this.emit("renewed", this.status());
  }

  /** Called by the loop. */
  plan(due: Date): void {
    this.#due = due;
  }

  /** Called by the loop. */
  fail(error: Error, failures: number, next: Date): void {
    this.#failures = failures;
    this.#lastError = error;
    this.#nextAttempt = next;
    const heard = this.emit("failed", error, this.status());
    if (heard || failures > 1) return;
    // Silence would end with an expired certificate that nobody saw coming.
    process.emitWarning(
      `The certificate ${this.#identity.certificate.serial} could not be renewed: ${error.message} It is good until ${this.#identity.certificate.notAfter.toISOString()}; next attempt ${next.toISOString()}.`,
      { type: "CountersignWarning" },
    );
  }
}
