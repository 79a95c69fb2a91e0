import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { describe, expect, test } from "vitest";
import { encodePem } from "../../../../src/der/pem.ts";
import { encodeRequest } from "../../../../src/x509/csr/encode.ts";
import { requestBytes } from "../../../../src/x509/csr/read.ts";
import { makeName } from "../../../../src/x509/name/read.ts";
import { inHex, openssl } from "../../../helpers/x509-chain.ts";

const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
const ed = generateKeyPairSync("ed25519").privateKey;
const subject = makeName([{ type: "CN", value: "web" }]);
const der = encodeRequest({ subject, subjectAltNames: [], privateKey: ec });
const pem = encodePem("CERTIFICATE REQUEST", der);
const base64 = Buffer.from(der).toString("base64");
const locked = { cipher: "aes-256-cbc", passphrase: "secret" };
const exported = (key: KeyObject, type: "pkcs8" | "sec1" | "pkcs1", format: "pem" | "der") =>
  Buffer.from(key.export({ type, format } as { type: "pkcs8"; format: "pem" }));

describe("one request", () => {
  test.each<[string, string | Uint8Array]>([
    ["DER", der],
    ["PEM", pem],
    ["the older label", pem.replaceAll("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")],
    ["CR LF", pem.replaceAll("\n", "\r\n")],
    ["a byte order mark", `\ufeff${pem}`],
    ["text that starts with the octet of a SEQUENCE", `0 is a digit\n${pem}`],
    ["a certificate beside it", encodePem("CERTIFICATE", Buffer.of(0x30, 0)) + pem],
    ["bare base64", base64],
    ["DER and the line end of an editor", Buffer.concat([der, Buffer.from("\r\n")])],
    ["UTF-16 of PowerShell", Buffer.from(`\ufeff${pem}`, "utf16le")],
    ["UTF-16 without a mark", Buffer.from(pem, "utf16le")],
    ["big-endian UTF-16", Buffer.from(`\ufeff${pem}`, "utf16le").swap16()],
    ["base64 in UTF-16", Buffer.from(`\ufeff${base64}`, "utf16le")],
    ["base64 behind a byte order mark", `\ufeff${base64}`],
    ["the base64 of a PEM, as Kubernetes has it", Buffer.from(pem).toString("base64")],
    ["the base64 of a PEM in UTF-16", Buffer.from(pem, "utf16le").toString("base64")],
    ["base64 in lines", base64.replace(/.{64}/g, "$&\r\n")],
  ])("is found in %s", (_title, body) => {
    const outcome = requestBytes(Buffer.from(body as string));
    expect(outcome.ok && inHex(outcome.value)).toBe(inHex(der));
  });

  test("is found behind the text that openssl req -text writes", () => {
    const { output } = openssl(["req", "-in", "csr", "-text"], { csr: pem });
    expect(output).toContain("Certificate Request:");
    const outcome = requestBytes(Buffer.from(output));
    expect(outcome.ok && inHex(outcome.value)).toBe(inHex(der));
  });

  test.each<[string, string | Uint8Array, RegExp]>([
    ["nothing", "", /empty/],
    ["two requests", pem + pem, /more than one request/],
    ["text", "hello, world", /neither PEM, DER nor base64/],
    ["a certificate alone", encodePem("CERTIFICATE", der), /no CERTIFICATE REQUEST/],
    ["a PEM without its end", pem.slice(0, 90), /no matching/],
    ["base64 with a stranger in it", pem.replace("MI", "M!"), /not base64/],
    ["a form", `csr=${encodeURIComponent(pem)}`, /percent-encoded.*--data-binary/],
    ["base64url", `${base64.slice(0, 40)}-_${base64.slice(42)}`, /neither PEM/],
  ])("is not found in %s", (_title, body, message) => {
    const outcome = requestBytes(Buffer.from(body as string));
    expect(outcome.ok ? "ok" : outcome.refusal.code).toBe("malformed-csr");
    expect(outcome.ok ? "" : outcome.refusal.detail).toMatch(message);
  });

  test("a hostile body of half a megabyte costs less than half a second", () => {
    for (const part of ["BEGIN ", "-----BEGIN ", "-----BEGIN A-----\n", '"kty""d" ', "A", "A="]) {
      const body = Buffer.from(part.repeat(Math.ceil(500_000 / part.length)));
      const from = process.cpuUsage();
      requestBytes(body);
      expect(process.cpuUsage(from).user / 1000, part).toBeLessThan(500);
    }
  });
});

describe("a private key", () => {
  const openssh = ["-----BEGIN OPENSSH PRIVATE KEY-----", "b3BlbnNzaC1rZXktdjEA"].join("\n");
  const pkcs12 = () => {
    const key = exported(ec, "pkcs8", "pem").toString();
    const made = openssl(["req", "-x509", "-key", "key", "-subj", "/CN=a", "-out", "out"], { key });
    const args = "pkcs12 -export -inkey key -in crt -passout pass:secret -out out".split(" ");
    return Buffer.from(openssl(args, { key, crt: made.written }).written);
  };
  const forms: [string, Buffer][] = [
    ["PKCS#8 of EC", exported(ec, "pkcs8", "der")],
    ["PKCS#8 of RSA", exported(rsa, "pkcs8", "der")],
    ["PKCS#8 of Ed25519", exported(ed, "pkcs8", "der")],
    ["encrypted PKCS#8", ec.export({ type: "pkcs8", format: "der", ...locked })],
    ["SEC 1", exported(ec, "sec1", "der")],
    ["PKCS#1", exported(rsa, "pkcs1", "der")],
    ["PKCS#12", pkcs12()],
    ["PEM of PKCS#8", exported(ec, "pkcs8", "pem")],
    [
      "PEM of encrypted PKCS#8",
      Buffer.from(ec.export({ type: "pkcs8", format: "pem", ...locked })),
    ],
    ["PEM of SEC 1", exported(ec, "sec1", "pem")],
    ["PEM of PKCS#1", exported(rsa, "pkcs1", "pem")],
    ["OpenSSH", Buffer.from(openssh)],
    ["PuTTY", Buffer.from("PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\nAAAA")],
    ["a JSON Web Key", Buffer.from(JSON.stringify(ec.export({ format: "jwk" })))],
    ["PEM under a wrong label", Buffer.from(encodePem("X", exported(ec, "pkcs8", "der")))],
  ];
  test.each(forms)("as %s is refused as such, and nothing of it is repeated", (_title, body) => {
    const behind = Buffer.concat([Buffer.from(pem), body]);
    const encoded = Buffer.from(body.toString("base64"));
    const wide = Buffer.from(body.toString("latin1"), "utf16le");
    const bodies = body[0] === 0x30 ? [body, encoded] : [body, behind, encoded, wide];
    for (const one of bodies) {
      const outcome = requestBytes(one);
      if (outcome.ok) throw new Error("accepted");
      expect(outcome.refusal.code).toBe("private-key-posted");
      const lines = one
        .toString("latin1")
        .split(/[\r\n]+/)
        .filter((line) => line.length > 12);
      for (const line of lines) expect(outcome.refusal.detail).not.toContain(line);
    }
  });
});
