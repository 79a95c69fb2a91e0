import { describe, expect, test } from "vitest";
import type { Holder } from "../helpers/authority.ts";
import { useAuthority } from "../helpers/use-authority.ts";

const authority = useAuthority();

const revoke = (as: Holder | undefined, serial: string, reason?: string | number) =>
  authority.call("POST", `/v1/certificates/${serial}/revoke`, {
    ...(as && { as }),
    body: reason === undefined ? {} : { reason },
  });

describe("POST /v1/certificates/{serial}/revoke", () => {
  test("by its own holder, for a reason, in force with the next request", async () => {
    const holder = await authority.enrol();
    const answer = await revoke(holder, holder.serial, "keyCompromise");
    expect(answer.json).toMatchObject({
      serial: holder.serial,
      status: "revoked",
      revocationReason: "keyCompromise",
      revokedAt: expect.any(String),
    });
    expect((await revoke(holder, holder.serial)).status).toBe(401);
  });

  test("another's serial with one's own certificate is 403, and nothing changes (S-09)", async () => {
    const [mine, theirs] = [await authority.enrol(), await authority.enrol()];
    const answer = await revoke(mine, theirs.serial, "keyCompromise");
    expect(answer.status).toBe(403);
    const entry = await authority.call("GET", `/v1/certificates/${theirs.serial}`, { as: theirs });
    expect(entry.json.status).toBe("valid");
    const audit = await authority.call("GET", `/v1/audit?serial=${theirs.serial}&action=revoke`, {
      as: authority.operator,
    });
    expect(audit.json.items).toMatchObject([{ verdict: "refused", code: "forbidden" }]);
  });

  test("repeating it changes nothing; another final reason is a conflict", async () => {
    const { serial } = await authority.enrol();
    const first = await revoke(authority.operator, serial, "superseded");
    const again = await revoke(authority.operator, serial, "superseded");
    expect([again.status, again.json.revokedAt]).toEqual([200, first.json.revokedAt]);
    const other = await revoke(authority.operator, serial, "keyCompromise");
    expect([other.status, other.json.type]).toEqual([409, "urn:countersign:error:conflict"]);
  });

  test("a hold is refused at once, released it is good again; only an operator can release", async () => {
    const holder = await authority.enrol();
    const list = async () =>
      (await authority.call("GET", "/v1/certificates?limit=1", { as: holder })).status;
    expect((await revoke(authority.operator, holder.serial, 6)).json.status).toBe("hold");
    expect(await list()).toBe(401);
    expect((await revoke(holder, holder.serial, "removeFromCRL")).status).toBe(401);
    expect((await revoke(authority.operator, holder.serial, "removeFromCRL")).json.status).toBe(
      "valid",
    );
    expect(await list()).toBe(200);
    expect((await revoke(authority.operator, holder.serial, "removeFromCRL")).status).toBe(409);
    await revoke(authority.operator, holder.serial, "certificateHold");
    expect(
      (await revoke(authority.operator, holder.serial, "cessationOfOperation")).json,
    ).toMatchObject({ status: "revoked", revocationReason: "cessationOfOperation" });
  });

  test.each([
    ["keyCompromise", "keyCompromise"],
    ["KEYCOMPROMISE", "keyCompromise"],
    [1, "keyCompromise"],
    ["4", "superseded"],
    [9, "privilegeWithdrawn"],
    [undefined, "unspecified"],
  ])("takes the reason %s as %s", async (given, recorded) => {
    const { serial } = await authority.enrol();
    expect((await revoke(authority.operator, serial, given)).json.revocationReason).toBe(recorded);
  });

  test.each([7, "because", -1, 11])(
    "refuses the reason %s with the list of those there are",
    async (reason) => {
      const { serial } = await authority.enrol();
      const answer = await revoke(authority.operator, serial, reason);
      expect([answer.status, answer.text]).toEqual([
        400,
        expect.stringContaining("cessationOfOperation"),
      ]);
    },
  );

  test("no GET changes any state, an unknown serial is 404, nobody is 401", async () => {
    const { serial } = await authority.enrol();
    expect(
      (await authority.call("GET", `/v1/certificates/${serial}/revoke`, { as: authority.operator }))
        .status,
    ).toBe(405);
    expect((await revoke(authority.operator, "00ff")).status).toBe(404);
    expect((await revoke(undefined, serial)).status).toBe(401);
  });
});
