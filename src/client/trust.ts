/**
 * How a client that knows nothing comes to trust an authority. Order matters, so that nothing is
 * told to a stranger:
 *
 * 1. GET /v1/ca/root without verifying the server; no credential is sent.
 * 2. The root's SHA-256 is held against the fingerprint from the token or the operator.
 * 3. Every later connection verifies against that root, and only then carries the token.
 */

import { createHash } from "node:crypto";
import { decodePem, encodePem } from "../der/pem.ts";
import { parseCertificate } from "../x509/certificate/read.ts";
import { send } from "./http.ts";
import { ClientError, readProblem } from "./problem.ts";

/** What is known of the root before the first contact. */
export interface RootKnowledge {
  /** PEM, when it was given. */
  readonly root?: string | undefined;
  /** Hex SHA-256 of its DER. */
  readonly sha256?: string | undefined;
}

/** The root (PEM) to trust. Throws ClientError `untrusted` when the fingerprint does not match. */
export async function learnRoot(
  url: string,
  known: RootKnowledge,
  signal?: AbortSignal,
): Promise<string> {
  if (known.root !== undefined) return singleRoot(known.root, known.sha256);
  if (known.sha256 === undefined) {
    throw new ClientError(
      "untrusted",
      "Nothing says which authority to trust: the token carries no fingerprint (`sha`). Give --root FILE or --root-sha256 HEX.",
    );
  }
  const target = new URL("/v1/ca/root", url);
  const answer = await send({ method: "GET", url: target, root: undefined, signal });
  if (answer.status !== 200) throw readProblem(answer);
  return singleRoot(answer.text, known.sha256);
}

function singleRoot(pem: string, sha256: string | undefined): string {
  const wanted = sha256?.replaceAll(":", "").toLowerCase();
  for (const { label, der } of readBlocks(pem)) {
    if (label !== "CERTIFICATE") continue;
    const found = createHash("sha256").update(der).digest("hex");
    if (wanted !== undefined && found !== wanted) {
      throw new ClientError(
        "untrusted",
        `The root has SHA-256 ${found}, but ${wanted} was expected. Nothing was sent to this server.`,
      );
    }
    const parsed = parseCertificate(der);
    if (!parsed.ok) throw new ClientError("untrusted", `The root is ${parsed.refusal.detail}.`);
    return encodePem("CERTIFICATE", der);
  }
  throw new ClientError("untrusted", "There is no certificate where the root should be.");
}

function readBlocks(pem: string) {
  try {
    return decodePem(pem);
  } catch (cause) {
    throw new ClientError("untrusted", `The root cannot be read: ${(cause as Error).message}.`);
  }
}
