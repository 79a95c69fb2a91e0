import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodePem } from "../../src/der/pem.ts";
import { parseCertificate } from "../../src/x509/certificate/read.ts";
import { freePort } from "../helpers/free-port.ts";
import { until } from "../helpers/node-services.ts";
import { countersign } from "../helpers/openssl-ca.ts";
import { repository, start } from "../helpers/processes.ts";
import { testWith } from "../helpers/programs.ts";
import { useAuthority } from "../helpers/use-authority.ts";

/** Certificates of one service whose lists are in four partitions, each with a delta. */
let plain: string;
let rootList: string;
const folder = mkdtempSync(join(tmpdir(), "interop-crl-"));
const path = (name: string) => join(folder, name);
const run = promisify(execFile);

/** A program in the folder; it may ask the service, which lives in this process. */
async function say(program: string, ...args: string[]): Promise<string> {
  const done = await run(program, args, { cwd: folder, timeout: 30_000 }).catch((error) => error);
  return `${done.stdout}${done.stderr}`;
}

const authority = useAuthority({
  config: (yaml) => {
    yaml["crl"] = { partitions: 4, deltaValidity: "1h" };
  },
});
beforeAll(async () => {
  plain = `http://127.0.0.1:${authority.service.plainAddress?.port}`;
  writeFileSync(path("root.pem"), authority.root);
  const issuing = readFileSync(join(authority.folder, "issuing.crt"), "utf8");
  writeFileSync(path("issuing.pem"), issuing);
  writeFileSync(path("both.pem"), issuing + authority.root);
  const main = join(repository, "src/cli/main.ts");
  const publish = [main, "crl", "publish", "--root", "--data", authority.folder];
  await say(process.execPath, ...publish, "--out", path("root-crl.pem"));
  rootList = readFileSync(path("root-crl.pem"), "utf8");
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
});

async function enrol(cn: string) {
  const holder = await authority.enrol({ cn });
  writeFileSync(path(`${cn}.pem`), holder.cert);
  writeFileSync(path(`${cn}.key`), holder.key);
  const parsed = parseCertificate(decodePem(holder.cert)[0]?.der ?? new Uint8Array());
  const point = (parsed.ok && parsed.value.crlDistributionPoints[0]) || "";
  return { ...holder, file: `${cn}.pem`, list: new URL(point).pathname };
}

const revoke = (serial: string, reason: string) =>
  authority.call("POST", `/v1/certificates/${serial}/revoke`, {
    as: authority.operator,
    body: { reason },
  });

/** PEM of a list by its path as in a certificate. */
async function fetchList(list: string): Promise<string> {
  const answer = await fetch(plain + list.replace(/\.crl$/, ".pem"));
  expect([list, answer.status]).toEqual([list, 200]);
  return answer.text();
}
const deltaOf = (list: string) => list.replace(/\.crl$/, "-delta.crl");

/** `openssl verify -crl_check` with the given lists. */
async function verify(file: string, lists: readonly string[], ...flags: string[]) {
  writeFileSync(path("lists.pem"), lists.join(""));
  const trust = ["-CAfile", "root.pem", "-untrusted", "issuing.pem", "-CRLfile", "lists.pem"];
  return say("openssl", "verify", "-crl_check", "-x509_strict", ...flags, ...trust, file);
}

describe("openssl verify -crl_check", () => {
  test("judges a certificate by the list that it names: empty, with one, with many", async () => {
    const [good, bad] = [await enrol("good"), await enrol("bad")];
    expect(good.list).toMatch(/^\/crl\/[0-9a-f]{16}\/[1-4]of4\.crl$/);
    expect(await verify(good.file, [await fetchList(good.list)])).toContain("good.pem: OK");
    await revoke(bad.serial, "keyCompromise");
    expect(await verify(bad.file, [await fetchList(bad.list)])).toContain("certificate revoked");
    const many = await Promise.all(
      Array.from({ length: 12 }, (_, at) => authority.enrol({ cn: `many-${at}` })),
    );
    for (const { serial } of many) await revoke(serial, "superseded");
    const all = await Promise.all(
      [1, 2, 3, 4].map((part) => fetchList(good.list.replace(/[1-4]of4/, `${part}of4`))),
    );
    expect(await verify(good.file, all)).toContain("good.pem: OK");
    expect(await verify(bad.file, all)).toContain("certificate revoked");
    // Another partition's list says nothing about it: its scope is another.
    const others = all.filter((_, at) => !good.list.includes(`/${at + 1}of4`));
    expect(await verify(good.file, others)).toContain("error");
    // The list of all covers every one of them.
    const whole = await fetchList(good.list.replace(/\/[1-4]of4/, ""));
    expect(await verify(good.file, [whole])).toContain("good.pem: OK");
    expect(await verify(bad.file, [whole])).toContain("certificate revoked");
  });

  test("applies a delta to the list that a client kept: revoked, and released from hold", async () => {
    const [held, later] = [await enrol("held"), await enrol("later")];
    await revoke(held.serial, "certificateHold");
    const kept = { held: await fetchList(held.list), later: await fetchList(later.list) };
    const flags = ["-extended_crl", "-use_deltas"];
    expect(await verify(held.file, [kept.held], ...flags)).toContain("certificate revoked");
    expect(await verify(later.file, [kept.later], ...flags)).toContain("later.pem: OK");
    await revoke(held.serial, "removeFromCRL");
    await revoke(later.serial, "keyCompromise");
    const released = [kept.held, await fetchList(deltaOf(held.list))];
    expect(await verify(held.file, released, ...flags)).toContain("held.pem: OK");
    const revoked = [kept.later, await fetchList(deltaOf(later.list))];
    expect(await verify(later.file, revoked, ...flags)).toContain("certificate revoked");
  });

  test("finds the addresses of the deltas in the lists, and -crl_download gets what it needs", async () => {
    const { list, file } = await enrol("addresses");
    writeFileSync(path("shown.pem"), await fetchList(list));
    const text = await say("openssl", "crl", "-in", "shown.pem", "-noout", "-text");
    expect(text).toMatch(/Freshest CRL:[\s\S]*URI:http:\/\/localhost:\d+\/crl\/\S+of4-delta\.crl/);
    const trust = ["-CAfile", "root.pem", "-untrusted", "issuing.pem"];
    const said = await say("openssl", "verify", "-crl_check", "-crl_download", ...trust, file);
    expect(said).toContain("addresses.pem: OK");
  });
});

test("countersign crl publish --list writes the list of a partition and its delta, and no other", async () => {
  const { list } = await enrol("from-the-command-line");
  const part = /[1-4]of4/.exec(list)?.[0] ?? "";
  const publish = ["crl", "publish", "--data", authority.folder, "--list"];
  const out = ["--out", path("written.pem")];
  const written = async (name: string) => {
    expect((await countersign(...publish, name, ...out)).status).toBe(0);
    return readFileSync(path("written.pem"), "utf8");
  };
  expect(await written(part)).toBe(await fetchList(list));
  expect(await written(`${part}-delta`)).toBe(await fetchList(deltaOf(list)));
  for (const name of ["1of3", "part", "1of4-"]) {
    const { status, said } = await countersign(...publish, name, ...out);
    expect([status, said]).toEqual([1, expect.stringMatching(/no list|is not the name of a list/)]);
  }
  expect(await countersign(...publish, part, "--root")).toMatchObject({ status: 1 });
});

testWith("java")(
  "Java's CertPathValidator fetches CRLs and asks OCSP, and refuses what is revoked",
  { timeout: 30_000 },
  async () => {
    const [living, ended] = [await enrol("living"), await enrol("ended")];
    await revoke(ended.serial, "keyCompromise");
    const program = join(import.meta.dirname, "java/CheckRevocation.java");
    const files = ["root.pem", "issuing.pem", living.file, ended.file];
    const said = await say("java", "-XX:TieredStopAtLevel=1", program, ...files);
    expect(said).toContain("living.pem crl good");
    expect(said).toContain("living.pem ocsp good");
    expect(said).toMatch(/ended\.pem crl certificate 0 REVOKED: .*KEY_COMPROMISE/);
    expect(said).toMatch(/ended\.pem ocsp certificate 0 REVOKED: .*KEY_COMPROMISE/);
  },
);

describe("the root's list, where the issuing certificate says", () => {
  /** Another authority, for its issuing certificate does not survive. */
  const other = useAuthority();
  const files = ["root.pem", "issuing.pem"].map((name) => `other-${name}`) as [string, string];
  beforeAll(async () => {
    writeFileSync(path(files[0]), other.root);
    writeFileSync(path(files[1]), readFileSync(join(other.folder, "issuing.crt")));
    writeFileSync(path("leaf.pem"), (await other.enrol({ cn: "leaf" })).cert);
  });

  const javaSays = () =>
    say(
      "java",
      "-XX:TieredStopAtLevel=1",
      join(import.meta.dirname, "java/CheckRevocation.java"),
      ...files,
      "leaf.pem",
    );
  /** With the root's list from the address in the certificate, and the issuer's fetched by openssl. */
  const opensslSays = async () => {
    const [point = ""] = issuing().crlDistributionPoints;
    const list = await fetch(point);
    expect(list.headers.get("cache-control")).toMatch(/^public, max-age=(8\d{4}|[1-7]\d{4})$/);
    writeFileSync(path("other-root.crl"), Buffer.from(await list.arrayBuffer()));
    return say(
      ...(["openssl", "verify", "-crl_check_all", "-crl_download", "-x509_strict"] as const),
      ...["-CAfile", files[0], "-untrusted", files[1], "-CRLfile", "other-root.crl", "leaf.pem"],
    );
  };
  const issuing = () => {
    const [block] = decodePem(readFileSync(path(files[1]), "utf8"));
    const parsed = parseCertificate(block?.der ?? new Uint8Array());
    if (!parsed.ok) throw new Error(parsed.refusal.detail);
    return parsed.value;
  };
  const publishRoot = async (...more: string[]) => {
    const done = await countersign("crl", "publish", "--root", "--data", other.folder, ...more);
    expect(done).toMatchObject({ status: 0 });
  };

  test("openssl fetches it and the issuer's, and trusts the whole chain from the first start", async () => {
    expect(await opensslSays()).toContain("leaf.pem: OK");
    const issuer = other.service.authority.issuers.active.root;
    const named = /URI:(\S+\.crt)/.exec(
      await say("openssl", "x509", "-in", files[1], "-noout", "-ext", "authorityInfoAccess"),
    );
    const bytes = await (await fetch(named?.[1] ?? "")).arrayBuffer();
    expect(Buffer.from(bytes).equals(issuer.der)).toBe(true);
  });

  testWith("java")(
    "Java gives a verdict on the issuing certificate, good and revoked",
    { timeout: 60_000 },
    async () => {
      const good = await javaSays();
      expect(good).toContain("leaf.pem crl good");
      expect(good).toContain("leaf.pem ocsp good");
      await publishRoot("--revoke", issuing().serial);
      expect(await opensslSays()).toContain("certificate revoked");
      const revoked = await javaSays();
      expect(revoked).toMatch(/leaf\.pem crl certificate 1 REVOKED: .*CA_COMPROMISE/);
      expect(revoked).toMatch(/leaf\.pem ocsp certificate 1 REVOKED: .*CA_COMPROMISE/);
    },
  );
});

testWith("nginx")(
  "nginx with ssl_crl lets a good client in and refuses a revoked one",
  async () => {
    const [friend, foe] = [await enrol("friend"), await enrol("foe")];
    await revoke(foe.serial, "keyCompromise");
    const lists = await Promise.all([...new Set([friend.list, foe.list])].map(fetchList));
    // nginx checks the whole chain: the root's list too.
    writeFileSync(path("crl.pem"), rootList + lists.join(""));
    const server = await authority.enrol({
      profile: "server",
      cn: "localhost",
      sans: ["dns:localhost"],
    });
    writeFileSync(path("server.pem"), server.cert);
    writeFileSync(path("server.key"), server.key);
    mkdirSync(path("logs"), { recursive: true });
    const port = await freePort();
    writeFileSync(
      path("nginx.conf"),
      `daemon off; pid nginx.pid; error_log logs/error.log; events {}
http {
  access_log off;
  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate server.pem; ssl_certificate_key server.key;
    ssl_client_certificate both.pem; ssl_verify_client on; ssl_verify_depth 3; ssl_crl crl.pem;
    location / { return 200 "$ssl_client_s_dn"; }
  }
}
`,
    );
    const environment = { PATH: `${process.env["PATH"]}:/usr/sbin` };
    const nginx = start("nginx", ["-p", folder, "-c", path("nginx.conf")], environment);
    const ask = (name: string) =>
      say(
        ...(["curl", "-sS", "--cacert", "root.pem", "--cert", `${name}.pem`] as const),
        ...["--key", `${name}.key`, `https://localhost:${port}/`],
      );
    await until(async () => (await ask("friend")).includes("CN=friend"), 10, nginx.text);
    const refused = await ask("foe");
    expect(refused).toContain("400 Bad Request");
    expect(refused).not.toContain("CN=foe");
  },
);
