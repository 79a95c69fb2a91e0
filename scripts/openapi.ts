import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { initialise } from "../src/ceremony/found.ts";
import { initialiseDefaults } from "../src/ceremony/founding.ts";
import { openAuthority } from "../src/config/open-authority.ts";
import { ownHosts } from "../src/config/own-hosts.ts";
import { obtainOwnCertificate } from "../src/server/own/certificate.ts";
import { ownProfile } from "../src/server/own/profile.ts";
import { openRevocation } from "../src/server/revocation/open.ts";
import { buildServer } from "../src/server/server.ts";
import { compiledConfig } from "../test/helpers/config.ts";

/** `openapi/openapi.yaml`, from the routes of a server that never listens. */
export async function renderOpenapi(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "countersign-openapi-"));
  try {
    await initialise({ ...initialiseDefaults, folder });
    const config = compiledConfig(folder);
    const log = pino({ level: "silent" });
    const { authority, store, crls } = await openAuthority(config, {
      alarm: () => {},
      exclusive: true,
    });
    const { identity } = await obtainOwnCertificate({
      authority,
      file: join(folder, "server.pem"),
      names: ownHosts([]),
      profile: ownProfile("countersign-server", ["serverAuth"]),
      passphrase: undefined,
    });
    const live = { current: config };
    const revocation = await openRevocation({ live, authority, store, crls, patienceMs: 0, log });
    const app = await buildServer({ live, authority, identity, revocation, log });
    await app.ready();
    const yaml = app.swagger({ yaml: true });
    await app.close();
    await store.close();
    return yaml;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
