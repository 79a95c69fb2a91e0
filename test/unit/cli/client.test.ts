import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { main } from "../../../src/cli/main.ts";
import { loadIdentity } from "../../../src/client/identity/identity.ts";
import { identityFolder, opensslAccepts } from "../../helpers/identity-folder.ts";
import { until } from "../../helpers/node-services.ts";
import { startCountersign } from "../../helpers/processes.ts";
import { useAuthority } from "../../helpers/use-authority.ts";

const authority = useAuthority({
  config: (yaml) => {
    yaml["backdate"] = "0s";
  },
});

const terms = { profile: "peer", cn: "web", sans: ["dns:web.example.test"] };
const enrolled = async (...more: string[]) => {
  const dir = identityFolder();
  const token = await authority.mint(terms);
  expect((await run("enroll", "--out", dir, "--token", token, ...more)).code).toBe(0);
  return dir;
};

/** Runs a command line in this process; gives its exit code and what it said. */
async function run(...args: string[]) {
  const said: string[] = [];
  const log = vi.spyOn(console, "log").mockImplementation((line) => void said.push(String(line)));
  const error = vi
    .spyOn(console, "error")
    .mockImplementation((line) => void said.push(String(line)));
  try {
    const code = await main(args);
    return { code, text: said.join("\n") };
  } finally {
    log.mockRestore();
    error.mockRestore();
  }
}

describe("countersign enroll", () => {
  test("takes the token from a file or a variable, and refuses two of them", async () => {
    const file = `${identityFolder()}.token`;
    writeFileSync(file, `${await authority.mint(terms)}\n`);
    const dir = identityFolder();
    expect((await run("enroll", "--out", dir, "--token-file", file)).code).toBe(0);
    vi.stubEnv("ENROL_TOKEN", await authority.mint(terms));
    onTestFinished(() => void vi.unstubAllEnvs());
    const other = identityFolder();
    expect((await run("enroll", "--dir", other, "--token-env", "ENROL_TOKEN")).code).toBe(0);
    const both = ["--token-file", file, "--token-env", "ENROL_TOKEN"];
    expect((await run("enroll", "--out", identityFolder(), ...both)).code).toBe(2);
  });

  test("says what it made and where, and the second time that nothing was done", async () => {
    const dir = identityFolder();
    const token = await authority.mint(terms);
    const first = await run("enroll", "--url", authority.url, "--token", token, "--out", dir);
    expect(first.text).toContain(`Written to ${dir}: key.pem, certificate.pem`);
    const second = await run("enroll", "--url", authority.url, "--token", token, "--out", dir);
    expect(second.code).toBe(0);
    expect(second.text).toContain("Nothing was done");
    const json = await run("enroll", "--out", dir, "--json");
    expect(JSON.parse(json.text)).toMatchObject({ enrolled: false, url: authority.url });
  });

  test("shows a refusal with every rule and its cure", async () => {
    const token = await authority.mint(terms);
    const dir = identityFolder();
    const { code, text } = await run(
      "enroll",
      "--out",
      dir,
      "--token",
      token,
      "--san",
      "dns:x.test",
    );
    expect(code).toBe(1);
    expect(text).toMatch(/policy-violation: .*\n {2}subjectAltName\[0\] \(/);
  });
});

describe("countersign status", () => {
  test("exits with 0 when fine, 1 when due, 2 when expired or missing", async () => {
    const dir = await enrolled("--validity", "3s");
    const fine = await run("status", "--dir", dir);
    expect(fine).toMatchObject({ code: 0 });
    expect(fine.text).toContain("fine: ");
    await until(async () => (await run("status", "--dir", dir)).code === 1, 3);
    await until(async () => (await run("status", "--dir", dir, "--offline")).code === 2, 3);
    expect((await run("status", "--dir", identityFolder())).code).toBe(2);
  });

  test("tells machines the same as JSON", async () => {
    const { text } = await run("status", "--dir", await enrolled(), "--json");
    expect(JSON.parse(text)).toMatchObject({
      state: "fine",
      subjectAltNames: ["dns:web.example.test"],
      url: authority.url,
    });
  });
});

describe("countersign renew", () => {
  test("says that it is not due, and renews when forced", async () => {
    const dir = await enrolled();
    expect((await run("renew", "--dir", dir)).text).toContain("Nothing was done");
    const { code, text } = await run("renew", "--dir", dir, "--force", "--rekey", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(text)).toMatchObject({ outcome: "renewed" });
    opensslAccepts(dir);
  });

  test("exits with 1 while the old certificate is good, with 4 when none is", async () => {
    const dir = await enrolled();
    const away = ["--url", "https://localhost:1"];
    const before = readFileSync(join(dir, "fullchain.pem"), "utf8");
    expect((await run("renew", "--dir", dir, "--force", ...away)).code).toBe(1);
    expect(readFileSync(join(dir, "fullchain.pem"), "utf8")).toBe(before);
    expect((await run("renew", "--dir", identityFolder(), ...away)).code).toBe(4);
  });

  test("runs the command after a change only, and makes up for one that failed at the next run", async () => {
    const dir = await enrolled();
    const flag = join(dir, "may-succeed");
    const command = `test -e ${flag} && echo "$COUNTERSIGN_DIR" >> ${join(dir, "ran")}`;
    const failed = await run("renew", "--dir", dir, "--force", "--exec", command);
    expect(failed.code).toBe(5);
    expect(failed.text).toContain("attempt 3");
    writeFileSync(flag, "");
    expect((await run("renew", "--dir", dir, "--exec", command)).code).toBe(0);
    expect((await run("renew", "--dir", dir, "--exec", command)).code).toBe(0);
    expect(readFileSync(join(dir, "ran"), "utf8")).toBe(`${dir}\n`);
  });

  test("sends the signal to the process of a file", async () => {
    const dir = await enrolled();
    const heard = new Promise<void>((resolve) => process.once("SIGUSR2", () => resolve()));
    writeFileSync(`${dir}.pid`, `${process.pid}\n`);
    const sent = await run("renew", "--dir", dir, "--force", "--signal", `${dir}.pid:USR2`);
    expect(sent.code).toBe(0);
    await heard;
    writeFileSync(`${dir}.pid`, "0\n");
    expect((await run("renew", "--dir", dir, "--force", "--signal", `${dir}.pid`)).code).toBe(5);
  });
});

describe("countersign renew --daemon", () => {
  test("renews again and again, runs the command until it works, and reports", {
    timeout: 40_000,
  }, async () => {
    const dir = identityFolder();
    mkdirSync(dir);
    const token = `${dir}.token`;
    writeFileSync(token, await authority.mint(terms));
    await run("enroll", "--out", dir, "--token-file", token, "--validity", "7s");
    const metrics = join(dir, "metrics.prom");
    const ran = join(dir, "ran");
    // Fails the first time.
    const command = `test -e ${dir}/tried && echo x >> ${ran} || { touch ${dir}/tried; false; }`;
    const daemon = startCountersign([
      "renew",
      "--daemon",
      "--dir",
      dir,
      "--exec",
      command,
      "--metrics-file",
      metrics,
    ]);
    const status = () => {
      const file = join(dir, "status.json");
      return existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : {};
    };
    await until(() => status().renewals >= 2 && existsSync(ran), 30, daemon.text);
    expect(status()).toMatchObject({ failures: 0, hookFailures: 1 });
    expect(readFileSync(metrics, "utf8")).toMatch(
      /^countersign_client_renewals_total\{.*CN=web"\} \d+$/m,
    );
    expect(daemon.text()).toContain("attempt 1");
    opensslAccepts(dir);
    await daemon.stop();
    expect(daemon.child.exitCode).toBe(0);
  });

  test("enrols into an empty folder, once the token is there", async () => {
    const dir = identityFolder();
    const token = `${dir}.token`;
    const flags = ["--url", authority.url, "--token-file", token];
    const daemon = startCountersign(["renew", "--daemon", "--dir", dir, ...flags]);
    await until(() => daemon.text().includes("no-credential"), 10, daemon.text);
    writeFileSync(token, await authority.mint(terms));
    await until(() => daemon.text().includes("enrolled: certificate"), 10, daemon.text);
    opensslAccepts(dir);
  });

  test("enrols again when its certificate was revoked, with the token in the recorded file", {
    timeout: 40_000,
  }, async () => {
    const dir = identityFolder();
    const token = `${dir}.token`;
    writeFileSync(token, await authority.mint(terms));
    await run("enroll", "--out", dir, "--token-file", token, "--validity", "5s");
    const first = loadIdentity(dir)?.certificate.serial ?? "";
    await authority.call("POST", `/v1/certificates/${first}/revoke`, {
      as: authority.operator,
      body: { reason: "superseded" },
    });
    writeFileSync(token, await authority.mint(terms));
    const daemon = startCountersign(["renew", "--daemon", "--dir", dir]);
    await until(() => daemon.text().includes("enrolled: certificate"), 20, daemon.text);
    opensslAccepts(dir);
  });
});
