import { beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../helpers/free-port.ts";
import { useAuthority } from "../helpers/use-authority.ts";

let port: number;
beforeAll(async () => {
  port = await freePort();
});
const authority = useAuthority({
  config: (yaml) => {
    yaml["listen"].metricsPort = port;
  },
});

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
    const end = /countersign_root_crl_next_update_timestamp_seconds (\d+)/.exec(text)?.[1];
    const { certificate } = authority.service.authority.issuers.active;
    expect(Number(end)).toBe(certificate.notAfter.getTime() / 1000);
    expect(text).not.toContain(holder.serial);
    expect((await authority.call("GET", "/metrics", { as: holder })).status).toBe(403);
  });

  test("counts OCSP and CRL by the patterns of their addresses, on both listeners", async () => {
    const { plainAddress } = authority.service;
    const issuer = authority.service.authority.issuers.active;
    const path = `/crl/${issuer.id}.crl`;
    await authority.call("GET", path);
    await authority.call("GET", "/ocsp/MEow");
    await (await fetch(`http://127.0.0.1:${plainAddress?.port}${path}`)).arrayBuffer();
    await fetch(`http://127.0.0.1:${plainAddress?.port}/crl/nobody.crl`);
    const { text } = await authority.call("GET", "/metrics", { as: authority.operator });
    const counted = (labels: string) => `countersign_requests_total{${labels}}`;
    const url = "/crl/:issuer(^[0-9a-f]{16}$).crl";
    expect(text).toContain(`${counted(`method="GET",route="${url}",status="200"`)} 2`);
    expect(text).toContain(`${counted('method="GET",route="/ocsp/*",status="200"')} 1`);
    expect(text).toContain(`${counted('method="GET",route="unmatched",status="404"')} 1`);
    expect(text).toContain(`countersign_request_duration_seconds_count{route="${url}"} 2`);
    expect(text).not.toContain(path);
  });

  test("is alone on its own listener, without a credential", async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
    expect(await answer.text()).toContain("countersign_requests_total");
    expect((await fetch(`http://127.0.0.1:${port}/v1/ca`)).status).toBe(404);
  });
});
