/** The folder of an `openssl ca`, made as the well-known walkthrough makes it, with the real program. */

import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repository } from "./processes.ts";

/** Makes `openssl req` draw a P-256 key and keep it without a passphrase. */
export const newEcKey: readonly string[] = [
  ..."-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes".split(" "),
];

/** The files of the walkthrough, as they stand beside its page. */
export const examples = join(import.meta.dirname, "../../examples/openssl-ca");

export const caSubject =
  "/C=IN/ST=Karnataka/L=Bengaluru/O=Example/CN=Example CA/emailAddress=ca@example.test";

export interface OpensslCa {
  readonly folder: string;
  path(name: string): string;
  read(name: string): string;
  write(name: string, text: string): void;
  /** Runs openssl in the folder; gives standard output. Throws with standard error. */
  openssl(...args: string[]): string;
  /** Runs openssl, whatever comes of it. */
  attempt(...args: string[]): { readonly status: number | null; readonly said: string };
  /** A key and a request: `name.key`, `name.csr`. */
  request(name: string, subject: string): void;
  /** Signs `name.csr` to `name.crt` with openssl ca. */
  sign(name: string, ...more: string[]): void;
  remove(): void;
}

export function makeOpensslCa(
  options: { newKey?: readonly string[]; passphrase?: string; extensions?: string } = {},
  moreConfig = "",
): OpensslCa {
  const folder = mkdtempSync(join(tmpdir(), "openssl-ca-"));
  const ca = openFolder(folder);
  for (const name of ["certs", "crl", "newcerts", "private"]) mkdirSync(ca.path(name));
  for (const name of ["openssl.cnf", "server.ext", "both.ext"]) {
    const more = name === "openssl.cnf" ? moreConfig : "";
    ca.write(name, readFileSync(join(examples, name), "utf8") + more);
  }
  ca.write("index.txt", "");
  ca.write("serial", "1000\n");
  ca.write("crlnumber", "1000\n");
  const { newKey = newEcKey.slice(0, -1), passphrase } = options;
  ca.openssl(
    ...["req", "-x509", ...newKey, "-days", "3650", "-sha256", "-utf8"],
    ...["-config", "openssl.cnf", "-extensions", options.extensions ?? "v3_ca"],
    ...(passphrase === undefined ? ["-nodes"] : ["-passout", `pass:${passphrase}`]),
    ...["-subj", caSubject, "-keyout", "private/cakey.pem", "-out", "cacert.pem"],
  );
  return ca;
}

/** Works in a folder that is there already. */
export function openFolder(folder: string): OpensslCa {
  const path = (name: string) => join(folder, name);
  const run = (args: readonly string[]) => spawnSync("openssl", args, { cwd: folder });
  const openssl = (...args: string[]) => {
    const done = run(args);
    if (done.status !== 0) throw new Error(`openssl ${args.join(" ")}: ${done.stderr}`);
    return done.stdout.toString();
  };
  const write = (name: string, text: string) => writeFileSync(path(name), text);
  return {
    folder,
    path,
    read: (name) => readFileSync(path(name), "utf8"),
    write,
    openssl,
    attempt: (...args) => {
      const done = run(args);
      return { status: done.status, said: `${done.stdout}${done.stderr}` };
    },
    request: (name, subject) => {
      const files = ["-keyout", `${name}.key`, "-out", `${name}.csr`];
      openssl("req", "-new", ...newEcKey, "-utf8", ...files, "-subj", subject);
    },
    sign: (name, ...more) => {
      openssl(
        "ca",
        "-batch",
        "-config",
        "openssl.cnf",
        "-in",
        `${name}.csr`,
        "-out",
        `${name}.crt`,
        ...more,
      );
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Runs `countersign …` from the sources to its end; gives its exit code and all that it says. */
export async function countersign(
  ...args: string[]
): Promise<{ status: number | null; said: string }> {
  const child = spawn(process.execPath, ["src/cli/main.ts", ...args], {
    cwd: repository,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
  }
  const status = await new Promise<number | null>((resolve) => child.on("close", resolve));
  return { status, said };
}
