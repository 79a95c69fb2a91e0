import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readBlockedKeys } from "../../../src/config/blocked-keys.ts";
import { findContradictions } from "../../../src/config/contradictions.ts";
import { loadConfig } from "../../../src/config/load/load.ts";

/** Writes the keys below the two required ones; gives "line: path: …" of what does not fit. */
function check(yaml: string): string[] {
  const dataDir = mkdtempSync(join(tmpdir(), "countersign-config-"));
  const file = join(dataDir, "countersign.yaml");
  writeFileSync(file, `name: x\npublicUrl: https://x.test\n${yaml}`);
  const loaded = loadConfig({ dataDir, env: {}, flags: {} });
  if (!loaded.ok) {
    throw new Error(JSON.stringify(loaded.refusal.violations));
  }
  return findContradictions(loaded.value).map(({ message }) => message.replace(`${file}:`, ""));
}

describe("keys that do not fit together are told with their line", () => {
  const rows: [yaml: string, expected: string[]][] = [
    ["", []],
    [
      "listen: { port: 8080 }\n",
      ["3: listen.httpPort: got 8080, expected another port than listen.port"],
    ],
    ["listen: { port: 0, httpPort: 0, metricsPort: 0 }\n", []],
    [
      "listen:\n  metricsPort: 8443\n",
      ["4: listen.metricsPort: got 8443, expected another port than the other listeners'"],
    ],
    ["publicHttpUrl: http://[::1\n", ["3: publicHttpUrl: got http://[::1, expected a URL"]],
    [
      "crl:\n  partitions: 16\n  deltaValidity: 1h\n",
      [
        "4: crl.partitions: got 16, expected publicHttpUrl beside it; certificates name their list by its address",
        "5: crl.deltaValidity: got 1h, expected publicHttpUrl beside it; complete lists name their delta by its address",
      ],
    ],
    [
      "publicHttpUrl: http://x.test\ncrl: { partitions: 16, deltaValidity: 25h }\n",
      ["4: crl.deltaValidity: got 25h, expected at most crl.validity"],
    ],
    [
      "tokens:\n  ttl: 2h\n  maxTtl: 1h\n",
      ["4: tokens.ttl: got 2h, expected at most tokens.maxTtl"],
    ],
  ];
  for (const [yaml, expected] of rows) {
    it(yaml.trim() || "the defaults fit", () => {
      expect(check(yaml)).toEqual(expected);
    });
  }
});

describe("patterns of names", () => {
  const kinds = {
    dns: {
      good: [".example.test", "localhost", "*", "_sip.example.test", "a.b"],
      bad: ["*.example.test", "a b", ".", "example.test.", "-a.test", "a..b", "10.0.0.0/8:1"],
    },
    ip: {
      good: ["10.0.0.0/8", "127.0.0.1", "fd00::/8", "::1", "0.0.0.0/0", "::/0", "::1/128"],
      bad: ["10.0.0.1/8", "10.1", "10.0.0.0/33", "10.0.0.0/", "0x0a.0.0.1", "010.0.0.1", "x"],
    },
    uri: { good: ["spiffe://example.test/", "urn:"], bad: ["example.test", "https ://x"] },
    email: { good: ["@example.test", "a@b.test", ".example.test"], bad: ["example.test", "a b@c"] },
  };
  for (const [kind, { good, bad }] of Object.entries(kinds)) {
    it(`of kind ${kind} are refused where they mean nothing`, () => {
      const written = JSON.stringify([...good, ...bad]);
      const said = check(`policy: { subjectAltName: { ${kind}: ${written} } }\n`);
      expect(said.map((line) => /\.\w+\[(\d+)\]/.exec(line)?.[1])).toEqual(
        bad.map((_, index) => String(good.length + index)),
      );
    });
  }
});

describe("a trusted issuer", () => {
  const issuer = (more: string) =>
    `tokens: { issuers: [{ issuer: https://a.test, audience: x, jwks: a.json, ${more} }] }\n`;

  it("needs a profile that exists", () => {
    expect(check(issuer("profile: cleint"))).toEqual([
      "3: tokens.issuers[0].profile: got cleint, expected one of client, server, peer, operator; did you mean client?",
    ]);
  });

  it("cannot make operators", () => {
    expect(check(issuer("profile: operator"))[0]).toContain("a foreign token is not an operator");
  });

  it("closes the braces of its templates", () => {
    const claims =
      'profile: client, claims: { subjectAltName: ["dns:{sub}.{ns.svc", "dns:{a}.b"] }';
    expect(check(issuer(claims))).toEqual([
      "3: tokens.issuers[0].claims.subjectAltName[0]: got dns:{sub}.{ns.svc, expected each { closed by a }",
    ]);
  });
});

describe("blocked keys", () => {
  it("are read with comments and either case; another line is a problem, not skipped", () => {
    const file = join(mkdtempSync(join(tmpdir(), "countersign-config-")), "blocked.txt");
    const hash = "AB".repeat(32);
    writeFileSync(file, `# Debian\n${hash} # a key\r\n\nab:cd\n`);
    const { keys, problems } = readBlockedKeys(file);
    expect([...keys]).toEqual([hash.toLowerCase()]);
    expect(problems.map(({ message }) => message.replace(file, "blocked.txt"))).toEqual([
      'blocked.txt:4: policy.blockedKeys: got "ab:cd", expected the SHA-256 of a SubjectPublicKeyInfo, 64 hex digits',
    ]);
  });

  it("are a problem when the file is not there", () => {
    expect(readBlockedKeys("/nowhere/blocked.txt").problems[0]?.message).toContain("ENOENT");
  });
});
