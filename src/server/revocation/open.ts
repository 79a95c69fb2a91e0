/** Puts together what publishes revocation: CRLs, responders with their certificates, stapling. */

import { createPrivateKey } from "node:crypto";
import type { Server as TlsServer } from "node:https";
import { join } from "node:path";
import type { Authority } from "../../authority/authority.ts";
import type { CrlPublishers } from "../../authority/crl/publishers.ts";
import { rootListReader } from "../../authority/crl/root-list.ts";
import type { Issuer } from "../../authority/issuers.ts";
import { IssuerResponder, type ResponderIdentity } from "../../authority/ocsp/issuer-responder.ts";
import { OcspResponder } from "../../authority/ocsp/responder.ts";
import { keySigner } from "../../authority/signer/key-file.ts";
import { ocspSigner } from "../../authority/signer/ocsp-signer.ts";
import { rootCrlFile } from "../../config/data-folder.ts";
import type { LiveConfig } from "../../config/reload/live.ts";
import type { Store } from "../../store/store.ts";
import { certIdOf, encodeOcspRequest } from "../../x509/ocsp/encode.ts";
import type { Duty } from "../duties.ts";
import type { OwnCertificate } from "../own/certificate.ts";
import { OwnIdentity } from "../own/identity.ts";
import { ownProfile } from "../own/profile.ts";
import { rootListDuty } from "./root-list-duty.ts";
import type { RevocationParts } from "./routes.ts";

export interface Revocation extends RevocationParts {
  /** Keep the responders' certificates fresh. */
  readonly duties: readonly Duty[];
}

export interface RevocationOptions {
  readonly live: LiveConfig;
  readonly authority: Authority;
  readonly store: Store;
  readonly crls: CrlPublishers;
  /** How long after its time a responder's certificate is looked at; others may renew it. */
  readonly patienceMs: number;
  readonly log: { warn: (fields: object, text: string) => void };
}

/** Opens CRL and OCSP of every issuer; issues the responders' certificates where there is none. */
export async function openRevocation(options: RevocationOptions): Promise<Revocation> {
  const { live, authority, crls, patienceMs, log } = options;
  const { active, all } = authority.issuers;
  const opened = await Promise.all([
    openResponder(options, active),
    ...all.slice(1).map((issuer) => openResponder(options, issuer)),
  ] as const);
  const [first, ...others] = opened;
  const rootCrl = rootListReader(join(live.current.dataDir, rootCrlFile));
  const clock = () => authority.now();
  // Of several processes the first one says it.
  const said = patienceMs === 0 ? [rootListDuty(active, rootCrl, { clock, log })] : [];
  return {
    issuers: authority.issuers,
    crls,
    ocsp: new OcspResponder(
      first.responder,
      others.map((one) => one.responder),
    ),
    rootCrl,
    duties: [...opened.map((one) => one.duty), ...said],
  };
}

/** The responder of one issuer, with a certificate that this very issuer issued. */
async function openResponder(
  { live, authority, store, patienceMs }: RevocationOptions,
  issuer: Issuer,
) {
  const isActive = issuer === authority.issuers.active;
  const { dataDir, issuers } = live.current;
  const own = await OwnIdentity.open({
    authority,
    issuer,
    file: join(dataDir, isActive ? "ocsp.pem" : `ocsp-${issuer.id}.pem`),
    names: [],
    commonName: "OCSP responder",
    profile: ownProfile("countersign-ocsp", ["OCSPSigning"]),
    passphrase: issuers[0].passphrase?.reveal(),
  });
  let identity = responderIdentity(own.held);
  const responder = new IssuerResponder({
    issuer,
    store,
    identity: () => identity,
    terms: () => live.current.ocsp,
    clock: () => authority.now(),
  });
  const duty = own.duty({
    name: `the certificate of the OCSP responder${isActive ? "" : ` of issuer ${issuer.id}`}`,
    patienceMs,
    renewed: (held) => {
      identity = responderIdentity(held);
    },
  });
  return { responder, duty };
}

/** Staples the service's own status to its handshakes (RFC 6066 8), for clients that ask. */
export function stapleOcsp(
  tls: TlsServer,
  { ocsp }: Pick<RevocationParts, "ocsp">,
  own: () => Pick<OwnCertificate, "issuer" | "certificate">,
  log: { error: (fields: object, text: string) => void },
): void {
  tls.on(
    "OCSPRequest",
    (
      _leaf: Buffer,
      _issuer: Buffer,
      callback: (error: Error | null, response: Buffer | null) => void,
    ) => {
      const { issuer, certificate } = own();
      const id = certIdOf(issuer.certificate, certificate.serial, "sha1");
      ocsp.answer(encodeOcspRequest({ certIds: [id] })).then(
        ({ der }) => callback(null, Buffer.from(der)),
        (error: unknown) => {
          // A handshake without a staple is better than none.
          log.error({ err: error }, "no OCSP answer to staple");
          callback(null, null);
        },
      );
    },
  );
}

function responderIdentity({ identity, certificate }: OwnCertificate): ResponderIdentity {
  return { certificate, signer: ocspSigner(keySigner(createPrivateKey(identity.key))) };
}
