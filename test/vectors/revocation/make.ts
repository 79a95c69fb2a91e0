/** Certificates and revocation lists made by the openssl program, for cases that openssl judges too. */

import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A certificate in the maker's folder: `name.pem`, its key in `key.key`. */
export interface Made {
  readonly name: string;
  readonly key: string;
  /** Hex, as `openssl x509 -serial` writes it. */
  readonly serial: string;
}

export interface CertificateTerms {
  readonly subject?: string;
  /** The issuer; the certificate is self-signed without one. */
  readonly by?: Made;
  /** A key that is there already; a new one otherwise. */
  readonly key?: string;
  /** Lines of the extension section; they replace the usual ones when they name the same. */
  readonly extensions?: readonly string[];
  /** More sections of the configuration. */
  readonly sections?: string;
  readonly serial?: string;
  readonly args?: readonly string[];
}

export interface ListTerms {
  /** Serial and, behind a comma, the reason as in index.txt. */
  readonly revoked?: readonly string[];
  /** Lines of the CRL extension section; `undefined` writes version 1. */
  readonly extensions?: readonly string[];
  readonly sections?: string;
  readonly args?: readonly string[];
  /** The key that signs, where it is not the issuer's. */
  readonly key?: string;
}

const caLines = [
  "basicConstraints = critical,CA:TRUE",
  "keyUsage = critical,keyCertSign,cRLSign",
  "subjectKeyIdentifier = hash",
];
const leafLines = [
  "keyUsage = critical,digitalSignature",
  "extendedKeyUsage = clientAuth,serverAuth",
];

function generateKey(kind: "ec" | "rsa" | "rsa-pss") {
  if (kind === "ec") return generateKeyPairSync("ec", { namedCurve: "P-256" });
  const size = { modulusLength: 2048 };
  return kind === "rsa" ? generateKeyPairSync("rsa", size) : generateKeyPairSync("rsa-pss", size);
}

export class Maker {
  readonly folder = mkdtempSync(join(tmpdir(), "countersign-vectors-"));
  #count = 0;

  /** Runs openssl in the folder; gives standard output. Throws with standard error. */
  openssl(...args: readonly string[]): Buffer {
    return execFileSync("openssl", args, { cwd: this.folder, stdio: ["ignore", "pipe", "pipe"] });
  }

  path(file: string): string {
    return join(this.folder, file);
  }

  pem(...made: readonly Made[]): string {
    return made.map(({ name }) => readFileSync(this.path(`${name}.pem`), "utf8")).join("");
  }

  /** What a TLS socket is given to present a certificate. */
  holder(made: Made): { readonly cert: string; readonly key: string } {
    return { cert: this.pem(made), key: readFileSync(this.path(`${made.key}.key`), "utf8") };
  }

  newKey(kind: "ec" | "rsa" | "rsa-pss" = "ec"): string {
    const name = `key${++this.#count}`;
    const { privateKey } = generateKey(kind);
    const pem = privateKey.export({ type: "pkcs8", format: "pem" });
    writeFileSync(this.path(`${name}.key`), pem, { mode: 0o600 });
    return name;
  }

  authority(terms: CertificateTerms = {}): Made {
    return this.#certificate(caLines, terms);
  }

  leaf(by: Made, terms: CertificateTerms = {}): Made {
    return this.#certificate(leafLines, { by, ...terms });
  }

  /** A self-signed certificate of version 1, which has no extensions. */
  version1(subject: string): Made {
    const name = `cert${++this.#count}`;
    const key = this.newKey();
    writeFileSync(this.path(`${name}.cnf`), "[req]\ndistinguished_name = dn\n[dn]\n");
    this.openssl(
      ...["req", "-new", "-config", `${name}.cnf`, "-key", `${key}.key`, "-subj", subject],
      ...["-out", `${name}.csr`],
    );
    this.openssl(
      ...["x509", "-req", "-in", `${name}.csr`, "-signkey", `${key}.key`, "-days", "30"],
      ...["-set_serial", "1", "-out", `${name}.pem`],
    );
    return { name, key, serial: "01" };
  }

  #certificate(usual: readonly string[], terms: CertificateTerms): Made {
    const { by, extensions = [], sections = "", args = [] } = terms;
    const name = `cert${++this.#count}`;
    const key = terms.key ?? this.newKey();
    const serial = terms.serial ?? (0x1000 + this.#count).toString(16).toUpperCase();
    const named = (line: string) => line.split("=")[0]?.trim();
    const own = extensions.map(named);
    const lines = [...usual.filter((line) => !own.includes(named(line))), ...extensions];
    // A line that ends with its "=" takes the usual one away.
    const written = lines.filter((line) => !/=\s*$/.test(line));
    if (by !== undefined && !own.includes("authorityKeyIdentifier")) {
      written.push("authorityKeyIdentifier = keyid");
    }
    writeFileSync(
      this.path(`${name}.cnf`),
      `[req]\ndistinguished_name = dn\n[dn]\n[ext]\n${written.join("\n")}\n${sections}\n`,
    );
    this.openssl(
      ...["req", "-x509", "-new", "-utf8", "-config", `${name}.cnf`, "-extensions", "ext"],
      ...["-key", `${key}.key`, "-subj", terms.subject ?? `/C=IN/O=Example/CN=${name}`],
      ...(by === undefined ? [] : ["-CA", `${by.name}.pem`, "-CAkey", `${by.key}.key`]),
      ...["-days", "30", "-set_serial", serial.replace(/^(-?)/, "$10x"), "-out", `${name}.pem`],
      ...args,
    );
    return { name, key, serial };
  }

  /** A list of this issuer, DER; current for a day unless `args` say otherwise. */
  list(by: Made, terms: ListTerms = {}): Buffer {
    const name = `list${++this.#count}`;
    const { revoked = [], extensions = ["authorityKeyIdentifier = keyid"] } = terms;
    const index = revoked.map((one) => {
      const [serial = "", reason] = one.split(",");
      const at = `250101000000Z${reason === undefined ? "" : `,${reason}`}`;
      return `R\t491231235959Z\t${at}\t${serial}\tunknown\t/CN=revoked\n`;
    });
    writeFileSync(this.path(`${name}.txt`), index.join(""));
    const section = extensions.length === 0 ? "" : "crl_extensions = ext\n";
    writeFileSync(
      this.path(`${name}.cnf`),
      `[ca]\ndefault_ca = c\n[c]\ndatabase = ${name}.txt\ndefault_md = sha256\ndefault_crl_days = 1\n${section}[ext]\n${extensions.join("\n")}\n${terms.sections ?? ""}\n`,
    );
    this.openssl(
      ...["ca", "-config", `${name}.cnf`, "-gencrl", "-cert", `${by.name}.pem`],
      ...["-keyfile", `${terms.key ?? by.key}.key`, "-out", `${name}.pem`, ...(terms.args ?? [])],
    );
    return this.openssl("crl", "-in", `${name}.pem`, "-outform", "DER");
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
