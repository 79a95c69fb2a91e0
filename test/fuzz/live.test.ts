import { describe, expect, test } from "vitest";
import { decodePem } from "../../src/der/pem.ts";
import { makeCsr, newKey, startAuthority } from "../helpers/authority.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const long = process.env["COUNTERSIGN_TEST_LONG"] === "1";
const SECONDS = long ? 60 : 6;

const authority = useAuthority({
  config: (yaml) => {
    yaml["limits"] = { enabled: false };
  },
});

/** A small generator of its own, so that a failing seed can be given again. */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe("a stream of hostile bodies against the live listener (S-16)", () => {
  test(`for ${SECONDS} s: every answer is a refusal, memory stays bounded, the service goes on`, async () => {
    const pick = random(20_261_123);
    const good = Buffer.from(
      decodePem(makeCsr({ key: newKey(), sans: ["dns:web.example.test"] }))[0]?.der ?? [],
    );
    const token = await authority.mint({
      profile: "server",
      cn: "web",
      sans: ["dns:web.example.test"],
      ttl: 3600,
      uses: 10_000,
    });
    const bodies: (() => Buffer)[] = [
      () => {
        const changed = Buffer.from(good);
        for (let i = 0; i <= pick(4); i++) changed[pick(changed.length)] = pick(256);
        return changed;
      },
      () => good.subarray(0, pick(good.length)),
      () => Buffer.concat([good, Buffer.alloc(pick(2000), pick(256))]),
      () => Buffer.concat(Array.from({ length: 3000 }, () => Buffer.from("30820fff", "hex"))),
      () => Buffer.from(`3084ffffffff${"30".repeat(pick(100))}`, "hex"),
      () => Buffer.from("3080".repeat(pick(2000)), "hex"),
      () => Buffer.alloc(60_000, "-----BEGIN CERTIFICATE REQUEST-----\n"),
      () => Buffer.from(Array.from({ length: pick(3000) }, () => pick(256))),
      () => Buffer.from(`{"csr":${"[".repeat(pick(20_000))}`),
    ];
    const statuses = new Map<number, number>();
    const types = [
      "application/pkcs10",
      "text/plain",
      "application/json",
      "application/octet-stream",
    ];
    const deadline = Date.now() + SECONDS * 1000;
    let heapAfterWarmUp = 0;
    let sent = 0;
    while (Date.now() < deadline || sent <= 300) {
      const answers = await Promise.all(
        Array.from({ length: 8 }, () =>
          authority.call("POST", "/v1/certificates", {
            token,
            body: bodies[pick(bodies.length)]?.() ?? good,
            headers: { "content-type": types[pick(types.length)] ?? "" },
          }),
        ),
      );
      sent += answers.length;
      for (const { status } of answers) statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (heapAfterWarmUp === 0 && sent > 300) heapAfterWarmUp = process.memoryUsage().rss;
    }
    expect(sent).toBeGreaterThan(300);
    expect(
      [...statuses.keys()].filter(
        (status) => ![201, 200, 400, 409, 413, 415, 422].includes(status),
      ),
    ).toEqual([]);
    expect(statuses.get(400)).toBeGreaterThan(sent / 3);
    // Of client and service together: the new space of Node is 96 MB, the cache of SQLite 64.
    expect(process.memoryUsage().rss - heapAfterWarmUp).toBeLessThan(300 * 2 ** 20);
    expect((await authority.call("GET", "/readyz")).json.ready).toBe(true);
  }, 120_000);

  test("a slow issuing key (RSA-4096) does not stall other requests", async () => {
    const rsa = await startAuthority({ initialise: { keyType: "RSA-4096" } });
    const tokens = await Promise.all(
      Array.from({ length: 24 }, () => rsa.mint({ profile: "client", cn: "web" })),
    );
    let longest = 0;
    let last = performance.now();
    const ticker = setInterval(() => {
      longest = Math.max(longest, performance.now() - last - 1);
      last = performance.now();
    }, 1);
    const issued = await Promise.all(
      tokens.map((token) =>
        rsa.call("POST", "/v1/certificates", { token, body: { csr: makeCsr({ key: newKey() }) } }),
      ),
    );
    clearInterval(ticker);
    expect(issued.map((one) => one.status)).toEqual(Array(24).fill(201));
    // 24 signatures on the loop would hold it for some 100 ms in one piece; handshakes are the rest.
    console.info(`longest stall of the event loop: ${longest.toFixed(1)} ms`);
    await rsa.stop();
  }, 60_000);
});
