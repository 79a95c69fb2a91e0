import { describe, expect, test } from "vitest";
import { DAY, decideOn, inputOf, now, rulesOf, tokenGrant } from "./cases.ts";

const later = (seconds: number) => new Date(now.getTime() + seconds * 1000);
const issuerUntil = (notAfter: Date, notBefore = new Date("2026-01-01T00:00:00Z")) => ({
  ...inputOf().issuer,
  notBefore,
  notAfter,
});

describe("the validity", () => {
  test("is the profile's when nothing is asked for, starts a minute ago, due at two thirds", () => {
    const verdict = decideOn();
    if (!verdict.accepted) throw new Error("refused");
    const { notBefore, notAfter, renewAfter } = verdict.plan;
    expect([notBefore, notAfter]).toEqual([later(-60), later(30 * DAY)]);
    expect(renewAfter).toEqual(later(-60 + Math.floor(((30 * DAY + 60) * 2) / 3)));
  });

  test.each([
    ["a second more than the profile's maximum", { seconds: 90 * DAY + 1 }, ["validity.maximum"]],
    ["the maximum", { seconds: 90 * DAY }, []],
    ["an end beyond the maximum", { notAfter: later(90 * DAY + 1) }, ["validity.maximum"]],
    ["an end in the past", { notAfter: later(-1) }, ["validity.order"]],
    ["an end before the start", { notBefore: later(60), notAfter: later(30) }, ["validity.order"]],
    ["a lifetime and an end", { seconds: 60, notAfter: later(60) }, ["validity.twice"]],
    ["a start six minutes ago", { notBefore: later(-360) }, ["validity.backdate"]],
    ["a start four minutes ago", { notBefore: later(-240) }, []],
    ["a lifetime of nothing", { seconds: 0 }, ["validity.order"]],
    ["a lifetime that runs backwards", { seconds: -60 }, ["validity.order"]],
  ])("with %s is refused or not", (_, validity, rules) => {
    expect(rulesOf(decideOn({ validity }))).toEqual(rules);
  });

  test.each([
    ["a lifetime that is no number", { seconds: Number.NaN }],
    ["a lifetime beyond all dates", { seconds: 1e300 }],
    ["an end that is not a date", { notAfter: new Date(Number.NaN) }],
    ["a start that is not a date", { notBefore: new Date(Number.NaN) }],
  ])("with %s is refused, not passed on", (_, validity) => {
    expect(rulesOf(decideOn({ validity }))).toContain("validity.order");
  });

  test("under a cap that is not a date is refused, as if there were none left", () => {
    const grant = { ...tokenGrant, notAfterCap: new Date(Number.NaN) };
    expect(rulesOf(decideOn({ grant }))).toContain("validity.order");
  });

  test("never goes past the issuer's end, and says which rule cut it (S-26)", () => {
    const verdict = decideOn({ issuer: issuerUntil(later(7 * DAY)) });
    if (!verdict.accepted) throw new Error("refused");
    expect(verdict.plan.notAfter).toEqual(later(7 * DAY));
    expect(verdict.plan.notices.map((one) => one.rule)).toContain("validity.issuer");
  });

  test("is cut by whichever of issuer and credential ends first", () => {
    const grant = { ...tokenGrant, notAfterCap: later(2 * DAY) };
    const verdict = decideOn({ grant, issuer: issuerUntil(later(7 * DAY)) });
    expect(verdict.accepted && verdict.plan.notAfter).toEqual(later(2 * DAY));
    const rules = verdict.accepted ? verdict.plan.notices.map((one) => one.rule) : [];
    expect(rules).toContain("validity.grant");
    expect(rules).not.toContain("validity.issuer");
  });

  test("does not start before the issuer's", () => {
    const verdict = decideOn({ issuer: issuerUntil(later(9 * DAY), later(-10)) });
    expect(verdict.accepted && verdict.plan.notBefore).toEqual(later(-10));
  });

  test.each([
    ["has expired", issuerUntil(now)],
    ["is not valid yet", issuerUntil(later(9 * DAY), later(1))],
  ])("is nothing under an issuer that %s (S-26)", (_, issuer) => {
    expect(rulesOf(decideOn({ issuer }))).toContain("issuer.validity");
  });
});
