/** S-40: who has one IPv6 address has 2^64 of them. */

import Fastify from "fastify";
import { expect, test } from "vitest";
import { limitRequests } from "../../src/server/limits.ts";

test("the addresses of one /64 have one limit; of IPv4 each has its own", async () => {
  const app = Fastify();
  const rate = (max: number) => ({ max, windowSeconds: 60 });
  const admit = await limitRequests(app, () => ({
    perAddress: rate(2),
    ...{ perIdentity: rate(100), enrolment: rate(100), renewal: rate(100) },
  }));
  await admit("2001:db8:0:1::1");
  await admit("2001:db8:0:1:ffff::2");
  await expect(admit("2001:db8:0:1::3")).rejects.toThrow(/limit for this address/);
  await admit("2001:db8:0:2::1");
  await admit("192.0.2.1");
  await admit("::ffff:192.0.2.1");
  await expect(admit("192.0.2.1")).rejects.toThrow(/limit for this address/);
  await admit("192.0.2.2");
  await app.close();
});
