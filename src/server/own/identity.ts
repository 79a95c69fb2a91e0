/** A certificate and key that the service holds for itself, and the duty that keeps them fresh. */

import type { Duty } from "../duties.ts";
import {
  type OwnCertificate,
  type OwnCertificateOptions,
  obtainOwnCertificate,
  renewalTime,
} from "./certificate.ts";

export class OwnIdentity {
  readonly #options: OwnCertificateOptions;
  #held: OwnCertificate;

  private constructor(options: OwnCertificateOptions, held: OwnCertificate) {
    this.#options = options;
    this.#held = held;
  }

  /** Takes what is on disk while it is good; issues, records and writes a new one otherwise. */
  static async open(options: OwnCertificateOptions): Promise<OwnIdentity> {
    return new OwnIdentity(options, await obtainOwnCertificate(options));
  }

  /** What is in use now. */
  get held(): OwnCertificate {
    return this.#held;
  }

  /** Makes a new one, due or not. */
  async replace(): Promise<void> {
    this.#held = await obtainOwnCertificate(this.#options, { force: true });
  }

  /**
   * Renews when it is due. `patienceMs` leaves that long to another process of the same folder;
   * `renewed` hears of each renewal.
   */
  duty({ name, patienceMs, renewed }: OwnIdentityDuty): Duty {
    return {
      name: `renew ${name}`,
      failure: `${name} could not be renewed`,
      due: () => new Date(renewalTime(this.#held.certificate).getTime() + patienceMs),
      run: async () => {
        this.#held = await obtainOwnCertificate(this.#options);
        renewed(this.#held);
      },
    };
  }
}

export interface OwnIdentityDuty {
  /** Whose certificate it is, as the log says it. */
  readonly name: string;
  readonly patienceMs: number;
  readonly renewed: (held: OwnCertificate) => void;
}
