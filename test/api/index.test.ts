import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parseIndex } from "../../src/openssl/index-txt.ts";
import { filterEntries } from "../../src/store/index/filters.ts";
import { type Holder, startAuthority } from "../helpers/authority.ts";
import { freePort } from "../helpers/free-port.ts";
import { useAuthority } from "../helpers/use-authority.ts";

let offset = 0;
const made: Record<string, Holder & { serial: string }> = {};

const authority = useAuthority({ clock: () => new Date(Date.now() + offset) });
beforeAll(async () => {
  made["web"] = await authority.enrol({
    profile: "server",
    cn: "web",
    sans: ["dns:web.example.test", "ip:10.0.0.1"],
  });
  made["pay"] = await authority.enrol({
    profile: "server",
    cn: "pay",
    sans: ["dns:a.pay.example.test", "dns:b.pay.example.test"],
  });
  made["soon"] = await authority.enrol({ cn: "soon", validity: "1h" });
  made["gone"] = await authority.enrol({ cn: "gone" });
  made["held"] = await authority.enrol({ cn: "held" });
  await revoke("gone", "keyCompromise");
  await revoke("held", "certificateHold");
});

const revoke = (name: string, reason: string) =>
  authority.call("POST", `/v1/certificates/${made[name]?.serial}/revoke`, {
    as: authority.operator,
    body: { reason },
  });
const list = (query: string, accept = "application/json") =>
  authority.call("GET", `/v1/certificates?${query}`, {
    as: authority.operator,
    headers: { accept },
  });
/** The common names that a query finds, in order. */
async function found(query: string): Promise<string[]> {
  const answer = await list(query);
  expect(answer.status, answer.text).toBe(200);
  return answer.json.items.map((one: { subject: string }) => /CN=(.*)$/.exec(one.subject)?.[1]);
}

describe("GET /v1/certificates", () => {
  test.each([
    ["status=revoked", ["gone"]],
    ["status=hold", ["held"]],
    ["profile=server", ["pay", "web"]],
    ["subject=cn%3Dpa", ["pay"]],
    ["san=web.example.test", ["web"]],
    ["san=dns:web.example.test", ["web"]],
    ["san=10.0.0.1", ["web"]],
    ["san=.pay.example.test", ["pay"]],
    ["san=.example.test&profile=server", ["pay", "web"]],
    ["san=ay.example.test", []],
    ["expiresBefore=%2B2h", ["soon"]],
    ["expiresBefore=+2h", ["soon"]],
    ["issuedAfter=%2B1h", []],
    ["issuedBefore=-1h", []],
    ["requestedBy=internal:first%20start", ["operator"]],
  ])("%s finds %j", async (query, names) => {
    expect(await found(query)).toEqual(names);
  });

  test.each(filterEntries)("the filter %s of the table is in effect", async (name, filter) => {
    const all = (await found("")).length;
    if (filter.choices) {
      const answers = await Promise.all(filter.choices.map((one) => found(`${name}=${one}`)));
      expect(new Set(answers.map((one) => one.join())).size).toBe(filter.choices.length);
    } else {
      const past = name.endsWith("Before") ? "-9000d" : "%2B9000d";
      const absent = { text: "absent", serial: "0".repeat(38), instant: past, choice: "" };
      expect(all).toBeGreaterThan(0);
      expect(await found(`${name}=${absent[filter.reads]}`)).toEqual([]);
    }
  });

  test("a filter that cannot be read is refused, together with all others", async () => {
    const answer = await list("serial=12-34&issuedAfter=yesterday&expiresBefore=%2B7x");
    expect(answer.status).toBe(400);
    expect(answer.json.violations.map((one: { field: string }) => one.field)).toEqual([
      "serial",
      "issuedAfter",
      "expiresBefore",
    ]);
  });

  test("status valid and expired follow the clock", async () => {
    expect(await found("status=expired")).toEqual([]);
    offset = 7200_000;
    expect(await found("status=expired")).toEqual(["soon"]);
    expect(await found("status=valid&subject=soon")).toEqual([]);
    offset = 0;
  });

  test("by serial prefix, in any writing, and by key", async () => {
    const { serial = "" } = made["web"] ?? {};
    expect(await found(`serial=${serial.slice(0, 8)}`)).toEqual(["web"]);
    expect(await found(`serial=0x${serial.toUpperCase()}`)).toEqual(["web"]);
    const byOpenssl = `00:${serial.match(/../g)?.join(":")}`;
    expect(await found(`serial=${byOpenssl}`)).toEqual(["web"]);
    const entry = (await list(`serial=${serial}`)).json.items[0];
    expect(await found(`spki=${entry.spkiSha256}`)).toEqual(["web"]);
  });

  test("orders: newest first, or next to expire first", async () => {
    expect((await found(""))[0]).toBe("held");
    expect((await found("order=expires"))[0]).toBe("soon");
  });

  test.each(["issued", "expires"])(
    "pages by cursor (%s) hold every entry once, also while rows are added",
    async (order) => {
      const everything = (await list(`order=${order}&limit=1000`)).json.items.map(
        (one: { serial: string }) => one.serial,
      );
      const seen: string[] = [];
      let cursor = "";
      do {
        const page = await list(`order=${order}&limit=2${cursor && `&cursor=${cursor}`}`);
        seen.push(...page.json.items.map((one: { serial: string }) => one.serial));
        cursor = page.json.next ?? "";
        if (seen.length < 5) await authority.enrol({ cn: `added-${order}-${seen.length}` });
      } while (cursor !== "");
      const old = seen.filter((serial) => everything.includes(serial));
      expect(old).toEqual(everything);
      expect(new Set(seen).size).toBe(seen.length);
    },
  );

  test("a cursor of another query, or a made-up one, is 400", async () => {
    const { json } = await list("limit=1");
    for (const query of [`profile=server&cursor=${json.next}`, "cursor=xyz", "cursor=WzFd"]) {
      expect((await list(query)).status).toBe(400);
    }
  });

  test.each([
    "status=dead",
    "order=name",
    "limit=1001",
    "expiresBefore=soon",
    "serial=xyz",
    "subject=ab",
  ])("%s is 400 and says what is wanted", async (query) => {
    const answer = await list(query);
    expect([answer.status, answer.json.type]).toEqual([
      400,
      "urn:countersign:error:malformed-request",
    ]);
  });

  test("pem is left out unless asked for", async () => {
    expect((await list("limit=1")).json.items[0].certificate).toBeUndefined();
    expect((await list("limit=1&include=pem")).json.items[0].certificate).toContain(
      "BEGIN CERTIFICATE",
    );
  });

  test("NDJSON and CSV stream everything, page size or not", async () => {
    const all = (await list("limit=1000")).json.items;
    const ndjson = await list("limit=1", "application/x-ndjson");
    expect(ndjson.headers["content-type"]).toContain("application/x-ndjson");
    expect(
      ndjson.text
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).serial),
    ).toEqual(all.map((one: { serial: string }) => one.serial));
    const csv = await list("", "text/csv");
    expect(csv.text.split("\r\n")[0]).toMatch(/^serial,status,profile,subject,/);
    expect(csv.text.trim().split("\r\n")).toHaveLength(all.length + 1);
  });

  test("can be narrowed to operators", async () => {
    const narrow = await startAuthority({
      config: (yaml) => (yaml["index"] = { readers: "operator" }),
    });
    expect(
      (await narrow.call("GET", "/v1/certificates", { as: await narrow.enrol() })).status,
    ).toBe(403);
    expect((await narrow.call("GET", "/v1/certificates", { as: narrow.operator })).status).toBe(
      200,
    );
    await narrow.stop();
  });
});

describe("text/plain is OpenSSL's index.txt", () => {
  test("openssl ca -status reads it, V, R and all", async () => {
    const folder = await caFolder();
    const status = (name: string) => {
      const serial = (made[name]?.serial ?? "").toUpperCase();
      const result = execFileSync(
        "sh",
        ["-c", `openssl ca -config ca.cnf -status ${serial} 2>&1 || true`],
        { cwd: folder, encoding: "utf8" },
      );
      return result.split("\n").find((line) => line.startsWith(serial));
    };
    expect(status("web")).toMatch(/=Valid \(V\)$/);
    expect(status("gone")).toMatch(/=Revoked \(R\)$/);
    const parsed = parseIndex(readFileSync(join(folder, "index.txt"), "utf8"));
    expect(parsed.ok && parsed.value.length).toBeGreaterThan(6);
  });

  test("openssl ca -gencrl makes a CRL of it with the same serials and reasons", async () => {
    const folder = await caFolder();
    const crl = execFileSync("openssl", ["ca", "-config", "ca.cnf", "-gencrl"], {
      cwd: folder,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    const text = execFileSync("openssl", ["crl", "-noout", "-text"], {
      input: crl,
      encoding: "utf8",
    });
    expect(text).toContain((made["gone"]?.serial ?? "").toUpperCase());
    expect(text).toContain("Key Compromise");
    expect(text).toContain("Certificate Hold");
  });

  test("openssl ocsp -index answers from it", async () => {
    const folder = await caFolder();
    const port = await freePort();
    const responder = spawn(
      "openssl",
      [
        "ocsp",
        "-index",
        "index.txt",
        "-port",
        String(port),
        "-rsigner",
        "ca.crt",
        "-rkey",
        "ca.key",
        "-CA",
        "ca.crt",
      ],
      { cwd: folder, stdio: "ignore" },
    );
    try {
      const ask = (name: string) =>
        execFileSync(
          "sh",
          [
            "-c",
            `for i in 1 2 3 4 5 6 7 8; do openssl ocsp -issuer ca.crt -serial 0x${made[name]?.serial} -url http://127.0.0.1:${port} -CAfile root.crt -partial_chain -no_nonce 2>&1 && break; sleep 0.3; done`,
          ],
          { cwd: folder, encoding: "utf8" },
        );
      expect(ask("web")).toContain(": good");
      expect(ask("gone")).toContain(": revoked");
    } finally {
      responder.kill();
    }
  });

  /** A folder that `openssl ca` takes for its own, around the exported index. */
  async function caFolder(): Promise<string> {
    const folder = mkdtempSync(join(tmpdir(), "openssl-ca-"));
    const { text, headers } = await list("", "text/plain");
    expect(headers["content-type"]).toContain("text/plain");
    writeFileSync(join(folder, "index.txt"), text);
    writeFileSync(join(folder, "crlnumber"), "01\n");
    writeFileSync(join(folder, "root.crt"), authority.root);
    mkdirSync(join(folder, "certs"));
    for (const [from, to] of [
      ["issuing.crt", "ca.crt"],
      ["issuing.key", "ca.key"],
    ] as const) {
      writeFileSync(join(folder, to), readFileSync(join(authority.folder, from)));
    }
    writeFileSync(
      join(folder, "ca.cnf"),
      "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncertificate=ca.crt\nprivate_key=ca.key\ncrlnumber=crlnumber\nnew_certs_dir=certs\ndefault_md=sha256\ndefault_crl_days=1\npolicy=p\n[p]\n",
    );
    return folder;
  }
});
