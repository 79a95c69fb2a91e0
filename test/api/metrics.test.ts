import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startAuthority, type TestAuthority } from "../helpers/authority.ts";
import { freePort } from "../helpers/free-port.ts";

let authority: TestAuthority;
let port: number;
beforeAll(async () => {
  port = await freePort();
  authority = await startAuthority({
    config: (yaml) => {
      yaml["listen"].metricsPort = port;
    },
  });
});
afterAll(() => authority?.stop());

describe("GET /metrics", () => {
  test("counts requests by route, for operators over TLS", async () => {
    const holder = await authority.enrol();
    await authority.call("GET", `/v1/certificates/${holder.serial}`, { as: holder });
    const { text, status } = await authority.call("GET", "/metrics", { as: authority.operator });
    expect(status).toBe(200);
    expect(text).toContain(
      'countersign_requests_total{method="GET",route="/v1/certificates/:serial",status="200"} 1',
    );
    expect(text).toMatch(
      /countersign_ca_expiry_timestamp_seconds\{certificate="issuing",issuer="[0-9a-f]{16}"\} \d+/,
    );
    expect(text).not.toContain(holder.serial);
    expect((await authority.call("GET", "/metrics", { as: holder })).status).toBe(403);
  });

  test("is alone on its own listener, without a credential", async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
    expect(await answer.text()).toContain("countersign_requests_total");
    expect((await fetch(`http://127.0.0.1:${port}/v1/ca`)).status).toBe(404);
  });
});
