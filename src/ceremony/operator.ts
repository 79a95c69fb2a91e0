/** The first operator of an authority: key, certificate chain and PKCS#12 bundle. */

import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { CompiledConfig } from "../config/compile.ts";
import { readFolderConfig } from "../config/data-folder.ts";
import { writeNewFile } from "../config/durable-file.ts";
import { openAuthority } from "../config/open-authority.ts";
import { encodePem } from "../der/pem.ts";
import type { Store } from "../store/store.ts";
import { encodeRequest } from "../x509/csr/encode.ts";
import { generateKey, keyToPem } from "../x509/key/private-key.ts";
import type { DistinguishedName } from "../x509/name/read.ts";
import type { Overrides } from "./founding.ts";
import { drawPassword, encodeOperatorBundle, operatorFiles } from "./operator-bundle.ts";
import { CeremonyRefused } from "./refused.ts";

export interface OperatorOptions {
  readonly folder: string;
  /** The authority's name. */
  readonly name: string;
  readonly subject: DistinguishedName;
  /** Encrypts the key; the bundle, which travels to a browser, has a password of its own. */
  readonly passphrase: string | undefined;
  /** What the audit says of the issuance. */
  readonly reason: string;
  readonly overrides: Overrides | undefined;
  /** Told when a certificate that was signed is not what was decided. */
  readonly alarm: (message: string) => void;
  /** Does more with the store before it is closed. */
  readonly also?: (store: Store) => Promise<void>;
}

/**
 * Issues the first operator certificate of an authority whose files are all there, under the
 * profile `operator`. Gives the password of operator.p12, which is kept nowhere.
 * Throws CeremonyRefused with what the configuration or the policy refuses.
 */
export async function issueOperator(options: OperatorOptions): Promise<string> {
  const { folder, reason, alarm } = options;
  const config = readConfig(folder, options.overrides);
  const profile = operatorProfile(config);
  const { authority, store } = await openAuthority(config, { alarm, exclusive: true });
  try {
    const privateKey = generateKey("P-256");
    const csr = encodeRequest({ subject: options.subject, subjectAltNames: [], privateKey });
    const issued = await authority.issueOwn(csr, profile, {
      kind: "internal",
      requestId: randomUUID(),
      address: undefined,
      reason,
    });
    if (!issued.ok) throw CeremonyRefused.by(issued.refusal);
    const { der } = issued.value;
    const { intermediates, intermediatesPem } = authority.issuers.active;
    const put = (name: string, content: string | Uint8Array, mode: number) =>
      writeNewFile(join(folder, name), content, mode);
    put(operatorFiles.key, keyToPem(privateKey, options.passphrase), 0o600);
    put(operatorFiles.certificate, encodePem("CERTIFICATE", der) + intermediatesPem, 0o644);
    const password = drawPassword();
    const bundle = {
      privateKey,
      certificates: [der, ...intermediates.map((one) => one.der)],
      friendlyName: `${options.name} operator`,
    };
    put(operatorFiles.bundle, await encodeOperatorBundle(bundle, password), 0o600);
    await options.also?.(store);
    return password;
  } finally {
    await store.close();
  }
}

/** The configuration of a folder. Throws CeremonyRefused with every problem of it. */
export function readConfig(folder: string, overrides: Overrides | undefined): CompiledConfig {
  const { env = {}, flags = {} } = overrides ?? {};
  const config = readFolderConfig({ dataDir: folder, env, flags });
  if (!config.ok) throw CeremonyRefused.by(config.refusal);
  return config.value;
}

function operatorProfile(config: CompiledConfig) {
  const profile = config.profiles.get("operator");
  if (profile === undefined) {
    throw new CeremonyRefused("The configuration has no profile operator: add it to profiles.");
  }
  return profile;
}
