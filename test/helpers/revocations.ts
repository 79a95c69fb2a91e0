/** Certificates and revocations put into a store directly, as many as wanted. */

import { createHash } from "node:crypto";
import type { NewAuditEntry, RevocationReason, Store } from "../../src/store/store.ts";
import { drawSerial } from "../../src/x509/serial.ts";

const day = 86_400_000;

/** An accepted decision, as the audit records it; `more` replaces what a test is about. */
export function auditEntry(
  at: Date,
  action: string,
  more: Partial<NewAuditEntry> = {},
): NewAuditEntry {
  return {
    at,
    requestId: "test",
    action,
    verdict: "accepted",
    caller: "test",
    address: undefined,
    serial: undefined,
    csrSha256: undefined,
    code: undefined,
    detail: {},
    ...more,
  };
}

/** Records a certificate without bytes; gives its serial. */
export async function recordCertificate(
  store: Store,
  issuerId: string,
  at: Date,
  notAfter = new Date(at.getTime() + 90 * day),
  serial = drawSerial(),
): Promise<string> {
  await store.recordIssuance({
    certificate: {
      issuerId,
      serial,
      sha256: createHash("sha256").update(serial).digest("hex"),
      spkiSha256: createHash("sha256").update(`key ${serial}`).digest("hex"),
      profile: "server",
      subject: `CN=${serial}`,
      subjectDer: Buffer.of(0x30, 0),
      commonName: serial,
      subjectAltNames: [],
      extendedKeyUsage: [],
      keyType: "ec-p256",
      notBefore: at,
      notAfter,
      issuedAt: at,
      renewAfter: notAfter,
      requestedBy: "test",
      via: "token",
      lineage: serial,
      lineageStartedAt: at,
      replaces: undefined,
    },
    der: undefined,
    audit: auditEntry(at, "issue"),
    spends: [],
  });
  return serial;
}

/** Revokes, or without a reason releases from hold. */
export async function setRevoked(
  store: Store,
  issuerId: string,
  serial: string,
  at: Date,
  reason: RevocationReason | undefined = undefined,
): Promise<void> {
  const { result } = await store.revoke(
    issuerId,
    serial,
    { at, reason, by: "test" },
    auditEntry(at, "revoke"),
  );
  if (result !== "revoked" && result !== "released") throw new Error(result);
}

/** Many revoked certificates, a batch at a time. */
export async function recordRevoked(
  store: Store,
  issuerId: string,
  count: number,
  at: Date,
): Promise<void> {
  const atOnce = 64;
  for (let done = 0; done < count; done += atOnce) {
    const batch = Array.from({ length: Math.min(atOnce, count - done) }, () => drawSerial());
    await Promise.all(
      batch.map((serial) => recordCertificate(store, issuerId, at, undefined, serial)),
    );
    await Promise.all(
      batch.map((serial) => setRevoked(store, issuerId, serial, at, "keyCompromise")),
    );
  }
}
