import { type Identity, loadIdentity } from "../identity/identity.ts";
import { LiveIdentity, type LiveStatus } from "../identity/live-identity.ts";
import { ClientError } from "../problem.ts";
import type { TokenSource } from "../token.ts";
import { keepRenewed } from "./loop.ts";
import { type FirstEnrolment, renew } from "./renew.ts";
import { pause } from "./schedule.ts";

export interface AutoRenewOptions extends FirstEnrolment {
  /** Origin of the authority; by default the one that the token is for, or the recorded one. */
  readonly url?: string;
  /** Folder of the identity; enrolled into when it is empty. */
  readonly dir: string;
  /** For the first enrolment, and for another one should the certificate be lost. */
  readonly token?: TokenSource;
  /** PEM of the root, where the token carries no fingerprint of it. */
  readonly root?: string;
  /** A new key at each renewal. */
  readonly rekey?: boolean;
  /** Called with each new certificate, after attached servers have it. */
  readonly onRenew?: (status: LiveStatus) => void | Promise<void>;
  /** How long a start with no usable certificate may take; 60 s when not given. */
  readonly firstStartTimeoutMs?: number;
}

const FIRST_START_MS = 60_000;
const PATIENT_STEP_MS = 1000;

/**
 * Gives an identity that renews itself until it is closed. With a certificate on disk that is
 * still valid it starts at once, whether the authority answers or not. Without one it enrols, and
 * rejects with a ClientError when that has not worked in `firstStartTimeoutMs`.
 *
 * @example
 * const identity = await autoRenew({ url, dir: "/var/lib/web/identity", token: { file: "/run/token" } });
 * const server = https.createServer({ ...identity.tls, requestCert: true }, app);
 * identity.attach(server);
 */
export async function autoRenew(options: AutoRenewOptions): Promise<LiveIdentity> {
  const { dir, token, url, root, rekey, onRenew } = options;
  const identity = usableOnDisk(dir) ?? (await firstStart(options));
  const stop = new AbortController();
  const live = new LiveIdentity(identity, async () => {
    stop.abort();
    await loop;
  });
  const report = (error: unknown, failures: number, next: Date) =>
    live.fail(error instanceof Error ? error : new Error(String(error)), failures, next);
  if (onRenew !== undefined) {
    live.on("renewed", (status) => {
      // The listener is the service's own code: what it throws is reported, and ends nothing.
      void (async () => onRenew(status))().catch((error) => report(error, 1, new Date()));
    });
  }
  const loop = keepRenewed(
    {
      dir,
      token,
      url,
      root,
      rekey,
      asked: options,
      signal: stop.signal,
      holdsProcess: false,
      onChange: (changed) => live.adopt(changed),
      onPlan: (due) => live.plan(due),
      onFailure: report,
    },
    identity,
  );
  return live;
}

function usableOnDisk(dir: string): Identity | undefined {
  const identity = loadIdentity(dir);
  return identity !== undefined && identity.certificate.notAfter > new Date()
    ? identity
    : undefined;
}

/** Tries again while the authority is away or the token has not been written yet. */
async function firstStart(options: AutoRenewOptions): Promise<Identity> {
  const { dir, token, url, root, firstStartTimeoutMs = FIRST_START_MS } = options;
  const until = performance.now() + firstStartTimeoutMs;
  const signal = AbortSignal.timeout(firstStartTimeoutMs);
  for (;;) {
    try {
      const attempt = { dir, token, url, root, asked: options, force: true, signal };
      return (await renew(attempt)).identity;
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      const left = until - performance.now();
      if (left > 0 && (error.passing || error.code === "no-credential")) {
        await pause(Math.min(left, PATIENT_STEP_MS));
        continue;
      }
      const spent = `${((firstStartTimeoutMs - left) / 1000).toFixed(1)} s`;
      throw new ClientError(
        error.code,
        `No usable certificate in ${dir}, and none could be had in ${spent}. ${error.message}`,
        {
          ...(error.status !== undefined && { status: error.status }),
          violations: error.violations,
          cause: error,
        },
      );
    }
  }
}
