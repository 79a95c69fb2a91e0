/** S-38: a compromised key lives on in what was renewed from it. */

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { type Holder, makeCsr, newKey, pemOf } from "../helpers/authority.ts";
import { useAuthority } from "../helpers/use-authority.ts";

type Held = Holder & { readonly serial: string };

const authority = useAuthority();

/** A renewal with a new key, as a thief makes it. */
async function renew(held: Held): Promise<{ status: number; text: string; held: Held }> {
  const key = newKey();
  const answer = await authority.call("POST", "/v1/certificates/renew", {
    as: held,
    body: makeCsr({ key, subject: "/C=IN/ST=Karnataka/O=Example/CN=web" }),
    headers: { "content-type": "application/pkcs10" },
  });
  const serial = String(answer.headers.location).split("/").at(-1) ?? "";
  return {
    status: answer.status,
    text: answer.text,
    held: { cert: answer.text, key: pemOf(key), serial },
  };
}

const revoke = (serial: string, body: object, as: Holder = authority.operator) =>
  authority.call("POST", `/v1/certificates/${serial}/revoke`, { as, body });

const statusOf = async (serial: string) =>
  (await authority.call("GET", `/v1/certificates/${serial}`, { as: authority.operator })).json
    .status;

/** a ← b ← c, and a ← other. */
async function family() {
  const a = await authority.enrol({ cn: "web" });
  const b = (await renew(a)).held;
  const c = (await renew(b)).held;
  const other = (await renew(a)).held;
  return { a, b, c, other };
}

describe("a certificate whose key was compromised", () => {
  test("bars the renewals of all that was renewed from it, and of nothing else", async () => {
    const { a, b, c, other } = await family();
    expect((await revoke(b.serial, { reason: "keyCompromise" })).status).toBe(200);
    const answer = await renew(c);
    expect(answer.status, answer.text).toBe(422);
    expect(answer.text).toContain("lineage.compromised");
    expect(answer.text).toContain(b.serial);
    const sameKey = await authority.call("POST", "/v1/certificates/renew", { as: c });
    expect(sameKey.status).toBe(422);
    const check = await authority.call("POST", "/v1/certificates/check", {
      as: c,
      body: makeCsr({ key: newKey(), subject: "/C=IN/ST=Karnataka/O=Example/CN=web" }),
      headers: { "content-type": "application/pkcs10" },
    });
    expect(check.status, check.text).toBe(422);
    // It is barred from renewing, not ended: what it serves goes on until somebody decides.
    expect(await statusOf(c.serial)).toBe("valid");
    expect((await renew(a)).status).toBe(201);
    expect((await renew(other)).status).toBe(201);
  });

  test("an operator says otherwise; its holder cannot", async () => {
    const { b, c } = await family();
    await revoke(b.serial, { reason: "keyCompromise" });
    expect((await renew(c)).status).toBe(422);
    expect((await revoke(c.serial, { renewals: "allowed" }, c)).status).toBe(403);
    expect(await statusOf(c.serial)).toBe("valid");
    const allowed = await revoke(b.serial, { reason: "keyCompromise", renewals: "allowed" });
    expect(allowed.status, allowed.text).toBe(200);
    expect((await renew(c)).status).toBe(201);
    const audit = await authority.call("GET", `/v1/audit?serial=${b.serial}`, {
      as: authority.operator,
    });
    expect(audit.json.items[0].detail).toMatchObject({ renewals: "allowed" });
  });

  test("other reasons bar nothing", async () => {
    const { b, c } = await family();
    await revoke(b.serial, { reason: "superseded" });
    expect((await renew(c)).status).toBe(201);
  });
});

describe("revoke with lineage", () => {
  test("ends every living descendant at once, on open connections, in OCSP and the CRL too", async () => {
    const { a, b, c, other } = await family();
    const answer = await revoke(b.serial, { reason: "keyCompromise", lineage: true });
    expect(answer.json).toMatchObject({ serial: b.serial, descendants: [c.serial] });
    for (const one of [b, c]) {
      expect(await statusOf(one.serial)).toBe("revoked");
      expect((await authority.call("POST", "/v1/certificates/renew", { as: one })).status).toBe(
        401,
      );
    }
    expect([await statusOf(a.serial), await statusOf(other.serial)]).toEqual(["valid", "valid"]);
    const crl = await authority.call(
      "GET",
      `/crl/${authority.service.authority.issuers.active.id}.pem`,
    );
    const { stdout } = await new Promise<{ stdout: string }>((resolve, reject) => {
      const child = execFile("openssl", ["crl", "-noout", "-text"], (error, out) =>
        error ? reject(error) : resolve({ stdout: out }),
      );
      child.stdin?.end(crl.text);
    });
    for (const one of [b, c]) expect(stdout).toContain(one.serial.toUpperCase());
    expect(stdout).not.toContain(a.serial.toUpperCase());
  });

  test("is what a holder may do to its own, and is found again by the index and the audit", async () => {
    const { a, b, c, other } = await family();
    expect((await revoke(a.serial, { lineage: true }, b)).status).toBe(403);
    expect((await revoke(a.serial, { lineage: true }, a)).status).toBe(200);
    for (const one of [a, b, c, other]) expect(await statusOf(one.serial)).toBe("revoked");
    const list = await authority.call("GET", `/v1/certificates?lineage=${a.serial}`, {
      as: authority.operator,
    });
    expect(list.json.items.map((one: { serial: string }) => one.serial).sort()).toEqual(
      [a, b, c, other].map((one) => one.serial).sort(),
    );
    const audit = await authority.call("GET", `/v1/audit?serial=${c.serial}&action=revoke`, {
      as: authority.operator,
    });
    expect(audit.json.items[0].detail).toMatchObject({ lineageOf: a.serial });
  });

  test("holds and releases a whole lineage", async () => {
    const { a, b, c } = await family();
    await revoke(a.serial, { reason: "certificateHold", lineage: true });
    expect(await statusOf(c.serial)).toBe("hold");
    expect((await renew(b)).status).toBe(401);
    await revoke(a.serial, { reason: "removeFromCRL", lineage: true });
    expect([await statusOf(a.serial), await statusOf(c.serial)]).toEqual(["valid", "valid"]);
    expect((await renew(c)).status).toBe(201);
  });

  test("the command line says what was ended along with it", async () => {
    const { a, b } = await family();
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, [
      new URL("../../src/cli/main.ts", import.meta.url).pathname,
      ..."certs revoke --reason keyCompromise --lineage --data".split(" "),
      authority.folder,
      a.serial,
    ]);
    expect(stdout).toMatch(new RegExp(`descendants +.*${b.serial}`));
  });
});
