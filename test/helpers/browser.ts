/** A real Chromium; a page of it may hold the operator's certificate, as a person imports it. */

import { execFileSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, type BrowserContext, chromium } from "playwright-core";
import type { TestAuthority } from "./authority.ts";

/** Starts the browser; close it in afterAll. It looks nothing up outside of this machine. */
export async function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim(),
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      `--crash-dumps-dir=${mkdtempSync(join(tmpdir(), "chromium-"))}`,
    ],
  });
}

/** A profile of its own that trusts the root and, with `operator`, holds the operator's `.p12`. */
export async function openContext(
  browser: Browser,
  authority: TestAuthority,
  { operator = false } = {},
): Promise<BrowserContext> {
  return browser.newContext({
    ignoreHTTPSErrors: true,
    ...(operator && {
      clientCertificates: [
        {
          origin: authority.url,
          pfxPath: join(authority.folder, "operator.p12"),
          passphrase: authority.operatorPassword,
        },
      ],
    }),
  });
}
