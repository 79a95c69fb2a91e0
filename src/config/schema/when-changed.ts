/**
 * When a changed key takes effect: at the next reload (SIGHUP), or when the service starts again.
 * A key stands for all below it. A test holds this table against the schema, so that no key is
 * forgotten.
 */
export const whenChanged = {
  // It is the issuer of every token that is out.
  name: "restart",
  // The service's own certificate, the audience of tokens and the pages carry it.
  publicUrl: "restart",
  publicHttpUrl: "reload",
  "listen.host": "restart",
  "listen.port": "restart",
  "listen.httpHost": "restart",
  "listen.httpPort": "restart",
  "listen.requireClientCertificate": "reload",
  "listen.metricsHost": "restart",
  "listen.metricsPort": "restart",
  database: "restart",
  // Issuers, their keys and the roots are proven to belong together once, at the start.
  "issuer.certificate": "restart",
  "issuer.chain": "restart",
  "issuer.key": "restart",
  "issuer.passphrase": "restart",
  "issuer.signatureAlgorithm": "restart",
  rootCertificate: "restart",
  tokenKey: "reload",
  policy: "reload",
  profiles: "reload",
  noRevAvailUnder: "reload",
  backdate: "reload",
  "tokens.ttl": "reload",
  "tokens.maxTtl": "reload",
  "tokens.issuers": "reload",
  "index.readers": "reload",
  "limits.enabled": "reload",
  "limits.perAddress": "reload",
  "limits.perIdentity": "reload",
  "limits.enrolment": "reload",
  "limits.renewal": "reload",
  "limits.bodyBytes": "reload",
  "limits.headersTimeout": "reload",
  "limits.requestTimeout": "reload",
  "limits.exports": "reload",
  "limits.exportsPerIdentity": "reload",
  "limits.stalledReader": "reload",
  // Node takes it when the listener is made, and not later.
  "limits.handshakeTimeout": "restart",
  "crl.validity": "reload",
  "crl.deltaValidity": "reload",
  "crl.partitions": "reload",
  "ocsp.validity": "reload",
  "ocsp.nonce": "reload",
  "log.level": "reload",
} as const satisfies Readonly<Record<string, "reload" | "restart">>;

/** The decision for a key such as `policy.subjectAltName.dns[0]`: that of the nearest key above it. */
export function whenChangedOf(key: string): "reload" | "restart" {
  const path = key.replaceAll("[", ".[").split(".");
  for (let depth = path.length; depth > 0; depth--) {
    const above = path.slice(0, depth).join(".");
    if (Object.hasOwn(whenChanged, above)) return whenChanged[above as keyof typeof whenChanged];
  }
  throw new Error(`nobody has decided when a change of ${key} takes effect`);
}
