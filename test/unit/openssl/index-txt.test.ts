import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { formatIndexLine, type IndexEntry, parseIndex } from "../../../src/openssl/index-txt.ts";
import { newEcKey } from "../../helpers/openssl-ca.ts";
import { expectParts } from "../../helpers/parts.ts";

const folder = mkdtempSync(join(tmpdir(), "index-"));
const openssl = (...args: string[]) =>
  execFileSync("openssl", args, { cwd: folder, stdio: "pipe" }).toString();
const ca = (...args: string[]) => openssl("ca", "-config", "ca.cnf", ...args);
const readBack = () => {
  const read = parseIndex(readFileSync(join(folder, "index.txt"), "utf8"));
  if (!read.ok) throw new Error(read.refusal.detail);
  return read.value;
};

const at = (text: string) => new Date(text);
const entry = (more: Partial<IndexEntry>): IndexEntry => ({
  status: "V",
  notAfter: at("2030-01-02T03:04:05Z"),
  revocation: undefined,
  serial: "0a",
  file: undefined,
  subject: "/C=IN/O=Example/CN=web",
  ...more,
});
const revoked = (serial: string, reason: string | undefined) =>
  entry({ status: "R", serial, revocation: { at: at("2026-05-06T07:08:09Z"), reason } });

const entries: readonly IndexEntry[] = [
  entry({}),
  entry({ serial: "0b", status: "E", notAfter: at("2020-01-01T00:00:00Z") }),
  entry({ serial: "0c", notAfter: at("2020-01-01T00:00:00Z"), subject: "/CN=due for E" }),
  entry({ serial: "0d", notAfter: at("2051-01-01T00:00:00Z"), subject: "/CN=generalized time" }),
  entry({ serial: "4f".repeat(17), subject: "/CN=long serial" }),
  entry({ serial: "0e", subject: "/CN=a\\tab \\x09 and = / \\x0A" }),
  revoked("10", undefined),
  revoked("11", "keyCompromise"),
  revoked("12", "cACompromise"),
  revoked("13", "affiliationChanged"),
  revoked("14", "superseded"),
  revoked("15", "cessationOfOperation"),
  revoked("16", "certificateHold"),
  revoked("17", "privilegeWithdrawn"),
  revoked("18", "aACompromise"),
  revoked("19", "unspecified"),
];

beforeAll(() => {
  openssl(
    ...["req", "-x509", ...newEcKey],
    ...["-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=CA", "-days", "3650"],
  );
  writeFileSync(
    join(folder, "ca.cnf"),
    "[ca]\ndefault_ca=c\n[c]\ndatabase=index.txt\nserial=serial\ncrlnumber=crlnumber\ncertificate=ca.crt\nprivate_key=ca.key\ndefault_md=sha256\ndefault_crl_days=30\nnew_certs_dir=.\npolicy=p\n[p]\ncommonName=supplied\n",
  );
  writeFileSync(join(folder, "crlnumber"), "01\n");
  writeFileSync(join(folder, "serial"), "20\n");
  writeFileSync(join(folder, "index.txt"), entries.map(formatIndexLine).join(""));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("index.txt as we write it", () => {
  test.each([
    ["0A", "Valid (V)"],
    ["0B", "Expired (E)"],
    ["4F".repeat(17), "Valid (V)"],
    ["11", "Revoked (R)"],
  ])("is read by openssl ca -status: serial %s is %s", (serial, status) => {
    const said = execFileSync(
      "sh",
      ["-c", `openssl ca -config ca.cnf -status ${serial} 2>&1 || true`],
      {
        cwd: folder,
      },
    ).toString();
    expect(said).toContain(`${serial}=${status}`);
  });

  test("becomes a CRL with openssl ca -gencrl, each revocation with its reason", () => {
    ca("-gencrl", "-out", "crl.pem");
    const text = openssl("crl", "-in", "crl.pem", "-noout", "-text");
    const serials = [...text.matchAll(/Serial Number: ([0-9A-F]+)/g)].map((one) => one[1]);
    expect(serials).toEqual(["10", "11", "12", "13", "14", "15", "16", "17", "18", "19"]);
    expect(text.match(/May {2}6 07:08:09 2026 GMT/g)).toHaveLength(10);
    expectParts(text, [
      "Key Compromise",
      "CA Compromise",
      "Affiliation Changed",
      "Superseded",
      "Cessation Of Operation",
      "Certificate Hold",
    ]);
  });

  test("answers openssl ocsp -index", () => {
    const say = (serial: string) =>
      openssl(
        ...[
          "ocsp",
          "-index",
          "index.txt",
          "-CA",
          "ca.crt",
          "-rsigner",
          "ca.crt",
          "-rkey",
          "ca.key",
        ],
        ...["-issuer", "ca.crt", "-serial", serial, "-noverify", "-no_nonce", "-resp_text"],
      );
    expect(say("0x0A")).toContain("Cert Status: good");
    expect(say("0x11")).toMatch(/Cert Status: revoked[\s\S]*keyCompromise/);
    expect(say("0x77")).toContain("Cert Status: unknown");
  });

  test("survives openssl ca -updatedb, which marks what has expired and nothing else", () => {
    const before = readBack();
    ca("-updatedb");
    const after = readBack();
    expect(after.map(({ status, ...same }) => same)).toEqual(
      before.map(({ status, ...same }) => same),
    );
    const changed = after.filter((one, index) => one.status !== before[index]?.status);
    expect(changed.map(({ serial, status }) => [serial, status])).toEqual([["0c", "E"]]);
  });

  test("is read back as it was written, but for reasons that OpenSSL has no word for", () => {
    const wordless = new Set(["privilegeWithdrawn", "aACompromise", "unspecified"]);
    const expected = entries.map((one) =>
      one.revocation?.reason !== undefined && wordless.has(one.revocation.reason)
        ? { ...one, revocation: { ...one.revocation, reason: undefined } }
        : one,
    );
    const read = parseIndex(entries.map(formatIndexLine).join(""));
    expect(read.ok && read.value).toEqual(expected);
  });

  test("keeps a subject with tabs and line ends on its one line of six fields (S-11)", () => {
    const line = formatIndexLine(
      entry({ subject: "/CN=a\tb\nV\t300102030405Z\t\t0B\tunknown\t/CN=c" }),
    );
    expect(line.match(/\n/g)).toHaveLength(1);
    const read = parseIndex(line);
    expect(read.ok && read.value.map((one) => one.serial)).toEqual(["0a"]);
  });
});

describe("index.txt as openssl writes it", () => {
  test.each([
    ["300102030405Z,keyTime,20260101000000Z", "keyCompromise"],
    ["300102030405Z,CAkeyTime,20260101000000Z", "cACompromise"],
    ["300102030405Z,holdInstruction,holdInstructionReject", "certificateHold"],
    ["300102030405Z,CACompromise", "cACompromise"],
    ["300102030405Z", undefined],
  ])("is read with its own words for revocations: %s", (field, reason) => {
    const read = parseIndex(`R\t300102030405Z\t${field}\t0A\tunknown\t/CN=a\n`);
    expect(read.ok && read.value[0]?.revocation?.reason).toBe(reason);
  });

  test("may lack a final newline, have CRLF, comments and serials of a single digit", () => {
    const read = parseIndex("# a comment\r\nV\t300102030405Z\t\tA\tunknown\t/CN=a");
    expect(read.ok && read.value).toEqual([entry({ subject: "/CN=a" })]);
  });

  test.each([
    ["X\t300102030405Z\t\t0A\tunknown\t/CN=a", "V, R or E in the first field"],
    ["V\tsoon\t\t0A\tunknown\t/CN=a", "a time such as 270101000000Z in the second field"],
    ["V\t300230030405Z\t\t0A\tunknown\t/CN=a", "a time such as 270101000000Z in the second field"],
    [
      "V\t300102030405Z\t300102030405Z\t0A\tunknown\t/CN=a",
      "a revocation in the third field exactly when the first is R",
    ],
    [
      "R\t300102030405Z\t\t0A\tunknown\t/CN=a",
      "a revocation in the third field exactly when the first is R",
    ],
    [
      "R\t300102030405Z\t300102030405Z,boredom\t0A\tunknown\t/CN=a",
      "a time, a comma and a reason in the third field",
    ],
    [
      "V\t300102030405Z\t\tno\tunknown\t/CN=a",
      "a serial in hex, not negative and of at most 20 octets, in the fourth field",
    ],
    ["V\t300102030405Z\t\t0A\tunknown", "six fields separated by tabs"],
    [
      "V\t300102030405Z\t\t0001\tunknown\t/CN=a",
      "each serial once (this one stands in line 1 too)",
    ],
    [
      `V\t300102030405Z\t\t${"1".repeat(42)}\tunknown\t/CN=a`,
      "a serial in hex, not negative and of at most 20 octets, in the fourth field",
    ],
    [
      "V\t300102030405Z\t\t0x0A\tunknown\t/CN=a",
      "a serial in hex, not negative and of at most 20 octets, in the fourth field",
    ],
    ["V\t300102030405Z\t\t01\tunknown\t/CN=a", "each serial once (this one stands in line 1 too)"],
  ])("is refused with the line when it is bad: %j", (line, want) => {
    const read = parseIndex(`V\t300102030405Z\t\t01\tunknown\t/CN=good\n${line}\n`);
    const [violation] = read.ok ? [] : (read.refusal.violations ?? []);
    expect(violation?.message).toMatch(/^index\.txt, line 2: /);
    expect(violation?.want).toBe(want);
  });

  test("is refused with every bad line, not the first alone", () => {
    const read = parseIndex("bad\nworse\n");
    expect(read.ok ? [] : read.refusal.violations?.map((one) => one.field)).toEqual([
      "line 1",
      "line 2",
    ]);
  });
});
