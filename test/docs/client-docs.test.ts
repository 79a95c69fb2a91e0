/**
 * Executes the pages for clients: every fenced `sh` block, in its order, in one shell session of a
 * temporary folder, against a real authority. The programs countersign, node, curl, openssl and
 * nginx are real. What needs a host or a cluster of its own (sudo, systemctl, kubectl) is a
 * stand-in that checks what it is given. It checks the unit files with systemd's own verifier, and
 * the manifests with a schema.
 */

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { blocksOf, onFreePorts, runScript } from "../helpers/pages.ts";
import { isThere, repository } from "../helpers/processes.ts";
import { testWith } from "../helpers/programs.ts";
import { useAuthority } from "../helpers/use-authority.ts";

let folder: string;
const authority = useAuthority();
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "countersign-docs-"));
  const put = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    chmodSync(join(folder, name), 0o755);
  };
  mkdirSync(join(folder, "bin"));
  const node = `"${process.execPath}" --conditions=countersign-source`;
  put("bin/countersign", `#!/bin/sh\nexec ${node} "${join(repository, "src/cli/main.ts")}" "$@"\n`);
  put("bin/node", `#!/bin/sh\nexec ${node} "$@"\n`);
  put("bin/sudo", '#!/bin/sh\nexec "$@"\n');
  // Into a folder of the test instead of /etc.
  put(
    "bin/install",
    `#!/bin/sh\nfor last; do :; done\ntest "$last" = /etc/systemd/system/ || exit 1\nshift 2\nmkdir -p "${folder}/units"\nwhile [ $# -gt 1 ]; do cp "$1" "${folder}/units/" || exit 1; shift; done\n`,
  );
  // enable --now NAME@INSTANCE.KIND: the unit must have been installed.
  put(
    "bin/systemctl",
    `#!/bin/sh\ntest "$1 $2" = "enable --now" && test -f "${folder}/units/$(echo "$3" | sed 's/@[^.]*/@/')"\n`,
  );
  put(
    "bin/kubectl",
    `#!/bin/sh\ncase "$1 $2" in\n"apply -f") test -f "$3" ;;\n"get --raw") echo '{"keys":[]}' ;;\n"create configmap") test -f "\${4##*=}" ;;\n*) exit 1 ;;\nesac\n`,
  );
});
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true });
});

const pages = [
  "mtls-in-five-minutes.md",
  "enrol-a-service.md",
  "renew-for-ever.md",
  "judge-peers.md",
  "kubernetes.md",
  "back-up.md",
];

describe.each(pages)("docs/%s", (page) => {
  const commands = blocksOf(page).join("");
  const programs = ["nginx", "java", "go"].filter((one) => commands.includes(`\n${one} `));

  testWith(...programs)(
    "says only what works: every command of it succeeds",
    { timeout: 120_000 },
    async () => {
      const work = join(folder, page);
      mkdirSync(join(work, "node_modules"), { recursive: true });
      mkdirSync(join(work, "logs"));
      symlinkSync(authority.folder, join(work, "data"));
      symlinkSync(join(repository, "examples"), join(work, "examples"));
      symlinkSync(repository, join(work, "node_modules/countersign"));
      const blocks = blocksOf(page);
      expect(blocks.length).toBeGreaterThan(2);
      const script = await onFreePorts(blocks, authority.port);
      const ran = await runScript(script, work, [join(folder, "bin")]);
      expect(ran.status, `${ran.stdout}\n${ran.stderr}`).toBe(0);
    },
  );

  test("has no fence of a shell that nobody would execute", () => {
    const text = readFileSync(join(repository, "docs", page), "utf8");
    const languages = [...text.matchAll(/^```(\w*)\n/gm)].map(([, language]) => language);
    expect(languages.filter((one) => !["sh", "yaml", ""].includes(one ?? ""))).toEqual([]);
  });
});

describe("examples/systemd", () => {
  test.skipIf(!isThere("systemd-analyze"))("holds units that systemd itself finds right", () => {
    const units = mkdtempSync(join(tmpdir(), "countersign-units-"));
    onTestFinished(() => rmSync(units, { recursive: true, force: true }));
    const from = join(repository, "examples/systemd");
    for (const file of readdirSync(from)) {
      const text = readFileSync(join(from, file), "utf8");
      expect(text).not.toMatch(/^\s*\[Install\]\s*$(?![\s\S]*WantedBy)/m);
      // The verifier wants the program to be there; its place on a host is not ours to check.
      const instance = file.replace("@.", "@shop.");
      writeFileSync(
        join(units, instance),
        text.replaceAll("/usr/local/bin/countersign", "/bin/true"),
      );
    }
    const ran = spawnSync(
      "systemd-analyze",
      ["verify", ...readdirSync(units).map((f) => join(units, f))],
      {
        encoding: "utf8",
      },
    );
    const ours = ran.stderr.split("\n").filter((line) => line.includes("countersign"));
    expect(ours).toEqual([]);
  });
});
