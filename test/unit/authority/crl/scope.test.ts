import { describe, expect, test } from "vitest";
import {
  crlPartitions,
  crlUrl,
  formatCrlName,
  parseCrlName,
  partitionOf,
} from "../../../../src/authority/crl/scope.ts";

describe("the name of a list", () => {
  test.each(["delta", "1of2", "3of16", "1024of1024", "3of16-delta"])("%s is one", (text) => {
    const name = parseCrlName(text);
    expect(name && formatCrlName(name)).toBe(text);
  });

  test.each([
    "",
    "-delta",
    "delta-delta",
    "3of16delta",
    "1of1",
    "0of4",
    "5of4",
    "01of4",
    "1of04",
    "1of1025",
    "1of9999",
    "1of",
    "of2",
    "3of16-",
    "3OF16",
    "3of16\n",
  ])("%j is not a scope", (text) => {
    expect(parseCrlName(text)).toBeUndefined();
  });
});

describe("the partition of a serial", () => {
  test("is decided by its last four octets, and is within the count", () => {
    expect(partitionOf("4000000000000000000000000000000005", 16)).toBe(6);
    expect(partitionOf("ff0000000000000000000000ffffffff", 1024)).toBe(1024);
    expect(partitionOf("0a", 4)).toBe(3);
    expect(partitionOf("41aabbccdd00000005", 1)).toBe(1);
  });

  test("stands in the address that its certificate gets", () => {
    const { urls, indexOf } = crlPartitions("http://ca.example.test", "0123456789abcdef", 16);
    const serial = "4000000000000000000000000000000005";
    expect(urls[indexOf(serial)]).toBe("http://ca.example.test/crl/0123456789abcdef/6of16.crl");
    expect(
      crlUrl("http://ca.example.test", "0123456789abcdef", {
        scope: { partition: 1, count: 1 },
        delta: true,
      }),
    ).toBe("http://ca.example.test/crl/0123456789abcdef/delta.crl");
    expect(new Set(urls).size).toBe(16);
  });
});
