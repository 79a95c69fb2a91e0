/** Puts together what publishes revocation: the CRL, the responder with its own certificate, stapling. */

import { createPrivateKey } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import type { Server as TlsServer } from "node:https";
import { join } from "node:path";
import type { Authority } from "../../authority/authority.ts";
import { CrlPublisher } from "../../authority/crl/publisher.ts";
import { OcspResponder, type ResponderIdentity } from "../../authority/ocsp/responder.ts";
import { keySigner } from "../../authority/signer/key-file.ts";
import { ocspSigner } from "../../authority/signer/ocsp-signer.ts";
import type { CompiledConfig } from "../../config/compile.ts";
import { rootCrlFile } from "../../config/data-folder.ts";
import type { Store } from "../../store/store.ts";
import type { Certificate } from "../../x509/certificate/read.ts";
import { parseCrl } from "../../x509/crl/read.ts";
import { certIdOf, encodeOcspRequest } from "../../x509/ocsp/encode.ts";
import type { Duty } from "../duties.ts";
import { OwnIdentity } from "../own-identity.ts";
import { ownProfile } from "../own-profile.ts";
import type { RevocationParts } from "./routes.ts";

export interface Revocation extends RevocationParts {
  /** Keeps the responder's certificate fresh. */
  readonly duty: Duty;
}

/** Opens CRL and OCSP of an authority; issues the responder's certificate when there is none. */
export async function openRevocation(
  config: CompiledConfig,
  authority: Authority,
  store: Store,
  /** How long after its time the responder's certificate is looked at; others may renew it. */
  patienceMs = 0,
): Promise<Revocation> {
  const { issuer } = authority;
  const clock = () => authority.now();
  const own = await OwnIdentity.open({
    authority,
    file: join(config.dataDir, "ocsp.pem"),
    names: [],
    commonName: "OCSP responder",
    profile: ownProfile("countersign-ocsp", ["OCSPSigning"]),
    passphrase: config.issuer.passphrase?.reveal(),
  });
  let identity = responderIdentity(own.held);
  return {
    issuer,
    crl: new CrlPublisher({
      issuer,
      store,
      ...config.crl,
      origin: config.publicHttpUrl?.origin,
      clock,
    }),
    ocsp: new OcspResponder({
      issuer,
      store,
      identity: () => identity,
      validitySeconds: config.ocsp.validitySeconds,
      nonce: config.ocsp.nonce,
      clock,
    }),
    rootCrl: rootCrlReader(join(config.dataDir, rootCrlFile)),
    duty: own.duty({
      name: "the certificate of the OCSP responder",
      patienceMs,
      renewed: (held) => {
        identity = responderIdentity(held);
      },
    }),
  };
}

/** Staples the service's own status to its handshakes (RFC 6066 8), for clients that ask. */
export function stapleOcsp(
  tls: TlsServer,
  { issuer, ocsp }: RevocationParts,
  certificate: () => Certificate,
  log: { error: (fields: object, text: string) => void },
): void {
  tls.on(
    "OCSPRequest",
    (
      _leaf: Buffer,
      _issuer: Buffer,
      callback: (error: Error | null, response: Buffer | null) => void,
    ) => {
      const id = certIdOf(issuer.certificate, certificate().serial, "sha1");
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

function responderIdentity({ identity, certificate }: OwnIdentity["held"]): ResponderIdentity {
  return { certificate, signer: ocspSigner(keySigner(createPrivateKey(identity.key))) };
}

/** Reads the root's CRL again when its file changes. */
function rootCrlReader(path: string): RevocationParts["rootCrl"] {
  let known: { changed: number; list: ReturnType<RevocationParts["rootCrl"]> } | undefined;
  return () => {
    if (!existsSync(path)) return undefined;
    const changed = statSync(path).mtimeMs;
    if (known?.changed !== changed) {
      const der = readFileSync(path);
      const parsed = parseCrl(der);
      const list = parsed.ok
        ? {
            der,
            thisUpdate: parsed.value.thisUpdate,
            nextUpdate: parsed.value.nextUpdate ?? parsed.value.thisUpdate,
          }
        : undefined;
      known = { changed, list };
    }
    return known.list;
  };
}
