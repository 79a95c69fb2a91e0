/** What an authority is founded with, and the defaults. Loads nothing, so that flags can be declared. */

import type { KeyObject } from "node:crypto";
import type { Certificate } from "../x509/certificate/read.ts";
import type { KeyType } from "../x509/key/private-key.ts";
import type { GeneralName } from "../x509/name/general-name.ts";

export interface InitialiseOptions {
  readonly folder: string;
  readonly name: string;
  /** Subject of the CA certificates without the CN, e.g. /C=IN/ST=Karnataka/O=Example. */
  readonly subject: string;
  readonly keyType: KeyType;
  readonly rootValidityDays: number;
  readonly issuingValidityDays: number;
  readonly hosts: readonly GeneralName[];
  readonly port: number;
  readonly httpPort: number;
  readonly passphraseFile: string | undefined;
  readonly passphrase: string | undefined;
  readonly rootKeyPath: string | undefined;
  /** What overrides the configuration's file, here as later when it is served. */
  readonly overrides?: Overrides;
  /** The CA that exists already and signs the issuing certificate, here or elsewhere. */
  readonly under?: CaAbove;
  /** Told when a certificate that was signed is not what was decided. */
  readonly alarm: (message: string) => void;
}

/** `request`: the CA above must sign `issuing.csr` first. */
export type Founded =
  | { readonly state: "request" }
  | {
      readonly state: "created";
      /** Of operator.p12; kept nowhere, so it is shown once. */
      readonly operatorPassword: string;
    };

/** Environment and `--set`, as `serve` reads them. */
export interface Overrides {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly flags: Readonly<Record<string, string>>;
}

/** A CA that exists already. */
export interface CaAbove {
  /** Self-signed: the root from now on. */
  readonly root: Certificate;
  /** Its key; undefined: it signs elsewhere. */
  readonly rootKey: KeyObject | undefined;
  /** Where it publishes its own CRL; undefined: the certificate that is signed here names none. */
  readonly crlUrl?: string | undefined;
}

export const initialiseDefaults = {
  name: "Example Internal CA",
  subject: "/C=IN/ST=Karnataka/O=Example",
  keyType: "P-256",
  rootValidityDays: 3650,
  issuingValidityDays: 1825,
  hosts: [],
  port: 8443,
  httpPort: 8080,
  passphraseFile: undefined,
  passphrase: undefined,
  rootKeyPath: undefined,
  alarm: (message: string) => console.error(message),
} as const satisfies Omit<InitialiseOptions, "folder">;
