import { expect, test } from "vitest";
import { isNameOf } from "../../../../src/x509/name/general-name.ts";
import { suggestName } from "../../../../src/x509/name/suggest-name.ts";

test.each([
  ["10.0.0.5", "IP:10.0.0.5"],
  ["10.0.0.5:8443", "IP:10.0.0.5"],
  ["10.0.0.0/8", "IP:10.0.0.0"],
  ["[2001:db8::1]:443", "IP:2001:db8::1"],
  ["2001:db8::1", "IP:2001:db8::1"],
  ["host:8443", "DNS:host"],
  ["DNS:a.test", "DNS:a.test"],
  [" a.test ", "DNS:a.test"],
  ["a.test, b.test", "DNS:a.test, DNS:b.test"],
  ["https://a.test/x", "DNS:a.test or URI:https://a.test/x"],
  ["https://10.0.0.5:8443", "IP:10.0.0.5 or URI:https://10.0.0.5:8443"],
  ["mailto:me@a.test", "email:me@a.test"],
  ["bücher.example", "DNS:xn--bcher-kva.example"],
  ["w*.a.test", undefined],
  ["a..test", undefined],
  ["", undefined],
  ["a.test\0.evil.test", undefined],
])("%j was meant as %s", (text, meant) => {
  expect(suggestName(text, isNameOf)).toBe(meant);
});
