import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import {
  IssuerResponder,
  type ResponderIdentity,
} from "../../../../src/authority/ocsp/issuer-responder.ts";
import { OcspResponder } from "../../../../src/authority/ocsp/responder.ts";
import { keySigner } from "../../../../src/authority/signer/key-file.ts";
import { ocspSigner } from "../../../../src/authority/signer/ocsp-signer.ts";
import { openStore } from "../../../../src/store/open.ts";
import { type Store, StoreUnavailable } from "../../../../src/store/store.ts";
import { certIdOf, encodeOcspRequest } from "../../../../src/x509/ocsp/encode.ts";
import { parseOcspResponse } from "../../../../src/x509/ocsp/read.ts";
import { newKey } from "../../../helpers/authority.ts";
import { useAuthority } from "../../../helpers/use-authority.ts";

let identity: ResponderIdentity;
let later = 0;
const authority = useAuthority();
beforeAll(async () => {
  identity = newIdentity();
});

const newIdentity = (): ResponderIdentity => ({
  certificate: authority.service.authority.issuers.active.certificate,
  signer: ocspSigner(keySigner(newKey())),
});
const responderOn = (store: Store) =>
  new OcspResponder(
    new IssuerResponder({
      issuer: authority.service.authority.issuers.active,
      store,
      identity: () => identity,
      terms: () => ({ validitySeconds: 3600, nonce: true }),
      clock: () => new Date(Date.now() + later),
    }),
  );
const asking = (serial: string, nonce?: Uint8Array) =>
  encodeOcspRequest({
    certIds: [certIdOf(authority.service.authority.issuers.active.certificate, serial, "sha1")],
    ...(nonce && { nonce }),
  });
const statusOf = (der: Uint8Array) => {
  const parsed = parseOcspResponse(der);
  return parsed.ok ? parsed.value.basic?.responses[0]?.certStatus.status : parsed.refusal.code;
};
const revoke = (serial: string, reason: string) =>
  authority.call("POST", `/v1/certificates/${serial}/revoke`, {
    as: authority.operator,
    body: { reason },
  });

describe("a kept answer", () => {
  test("is the one given before, until its certificate is revoked, held or released", async () => {
    const responder = responderOn(authority.service.store);
    const { serial } = await authority.enrol();
    const request = asking(serial);
    expect(responder.keptAnswer(request)).toBeUndefined();
    const first = await responder.answer(request);
    expect(responder.keptAnswer(request)?.der).toBe(first.der);
    for (const [reason, status] of [
      ["certificateHold", "revoked"],
      ["removeFromCRL", "good"],
      ["keyCompromise", "revoked"],
    ] as const) {
      await revoke(serial, reason);
      expect(responder.keptAnswer(request)).toBeUndefined();
      expect(statusOf((await responder.answer(request)).der)).toBe(status);
      expect(statusOf(responder.keptAnswer(request)?.der ?? new Uint8Array())).toBe(status);
    }
    const nonced = await responder.answer(asking(serial, new Uint8Array(16)));
    expect(statusOf(nonced.der)).toBe("revoked");
  });

  test("outlives the revocation of another certificate", async () => {
    const responder = responderOn(authority.service.store);
    const [one, other] = [await authority.enrol(), await authority.enrol()];
    const { der } = await responder.answer(asking(one.serial));
    await revoke(other.serial, "superseded");
    // One time in 4096 both share a count; then it is looked up, and is the same answer still.
    expect((await responder.answer(asking(one.serial))).der).toBe(der);
    expect(statusOf((await responder.answer(asking(other.serial))).der)).toBe("revoked");
  });

  test("ends with half its life, and with the responder's certificate", async () => {
    const responder = responderOn(authority.service.store);
    const request = asking((await authority.enrol()).serial);
    const first = await responder.answer(request);
    later = 29 * 60_000;
    expect(responder.keptAnswer(request)?.der).toBe(first.der);
    later = 31 * 60_000;
    expect(responder.keptAnswer(request)).toBeUndefined();
    const second = await responder.answer(request);
    expect(second.der).not.toBe(first.der);
    identity = newIdentity();
    expect(responder.keptAnswer(request)).toBeUndefined();
    expect((await responder.answer(request)).der).not.toBe(second.der);
    later = 0;
  });

  test("is never one that says unknown, which issuing can change, nor one with a nonce", async () => {
    const responder = responderOn(authority.service.store);
    for (const request of [
      asking("4000112233445566778899aabbccddeeff"),
      asking((await authority.enrol()).serial, new Uint8Array(8)),
    ]) {
      await responder.answer(request);
      expect(responder.keptAnswer(request)).toBeUndefined();
    }
  });

  test("keeps nothing where other processes revoke too: there every request looks", async () => {
    const url = `sqlite:${join(authority.folder, "countersign.db")}`;
    const shared = await openStore(url, { exclusive: false });
    const responder = responderOn(shared);
    const { serial } = await authority.enrol();
    expect(statusOf((await responder.answer(asking(serial))).der)).toBe("good");
    expect(responder.keptAnswer(asking(serial))).toBeUndefined();
    await revoke(serial, "superseded");
    expect(statusOf((await responder.answer(asking(serial))).der)).toBe("revoked");
    await shared.close();
  });
});

test("a store that fails gives no answer, and nothing to keep", async () => {
  const broken: Store = Object.create(authority.service.store, {
    findCertificate: { value: () => Promise.reject(new StoreUnavailable("gone")) },
    statusRevision: { value: () => 1 },
  });
  const request = asking((await authority.enrol()).serial);
  const responder = responderOn(broken);
  await expect(responder.answer(request)).rejects.toThrow(StoreUnavailable);
  expect(responder.keptAnswer(request)).toBeUndefined();
});
