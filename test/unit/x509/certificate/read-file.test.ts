import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readCertificateFile } from "../../../../src/x509/certificate/read-file.ts";
import { newEcKey } from "../../../helpers/openssl-ca.ts";

const folder = mkdtempSync(join(tmpdir(), "countersign-certificate-file-"));
const at = (name: string) => join(folder, name);
const put = (name: string, text: string) => {
  writeFileSync(at(name), text);
  return at(name);
};
const serialsIn = (path: string) => {
  const file = readCertificateFile(path);
  return file.ok ? file.value.map((one) => one.serial) : file.refusal;
};

beforeAll(() => {
  for (const [name, serial] of [
    ["one", "0x12ab"],
    ["two", "0x00ff"],
  ] as const) {
    const out = ["-keyout", at(`${name}.key`), "-out", at(`${name}.crt`)];
    const rest = ["-subj", `/CN=${name}`, "-set_serial", serial, "-text"];
    execFileSync("openssl", ["req", "-x509", ...newEcKey, ...out, ...rest], { stdio: "pipe" });
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("certificates are read in their order, past the text that OpenSSL writes", () => {
  const [one, two] = [readFileSync(at("one.crt"), "utf8"), readFileSync(at("two.crt"), "utf8")];
  expect(one).toContain("Serial Number");
  expect(serialsIn(at("one.crt"))).toEqual(["12ab"]);
  expect(serialsIn(put("both.crt", two + one))).toEqual(["ff", "12ab"]);
  expect(serialsIn(put("windows.crt", one.replaceAll("\n", "\r\n")))).toEqual(["12ab"]);
});

test.each([
  ["no file", () => at("nowhere.crt"), "nowhere.crt cannot be read (ENOENT)."],
  ["a folder", () => folder, "cannot be read (EISDIR)."],
  ["an empty file", () => put("empty.crt", ""), "empty.crt: the text holds no PEM block"],
  ["a text of another kind", () => put("text.crt", "hello"), "text.crt: the text holds no PEM"],
  ["a key", () => at("one.key"), "one.key: a PRIVATE KEY stands at offset 0"],
  [
    "a certificate that is cut off",
    () => put("cut.crt", readFileSync(at("one.crt"), "utf8").slice(0, -60)),
    "cut.crt: ",
  ],
  [
    "a block that is no certificate",
    () => put("odd.crt", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"),
    "odd.crt: ",
  ],
])("%s is refused by the file's name", (_what, path, detail) => {
  expect(serialsIn(path())).toMatchObject({
    code: "invalid-configuration",
    detail: expect.stringContaining(detail),
  });
});
