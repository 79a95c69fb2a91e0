import { expect, test } from "vitest";
import { rootListProblem } from "../../../../src/authority/crl/root-list.ts";
import { newIssuing, newRoot, now } from "../../../helpers/x509-chain.ts";

const day = 86_400_000;
const root = newRoot();
const issuer = { certificate: newIssuing(root).certificate, root: root.certificate };
const at = (days: number) => new Date(now.getTime() + days * day);
const list = (days: number) => ({ der: new Uint8Array(), thisUpdate: now, nextUpdate: at(days) });

test.each<[name: string, life: number, today: number, problem: RegExp | undefined]>([
  ["is new", 180, 0, undefined],
  ["ends in 31 days", 180, 149, undefined],
  ["ends in 29 days", 180, 151, /^The root's CRL ends on .*from then on/],
  ["lives a week and ends in three days", 7, 4, undefined],
  ["lives a week and ends tomorrow", 7, 6, /^The root's CRL ends on /],
  ["ended", 180, 181, /^The root's CRL ended on .*refuse every certificate/],
])("a root's list that %s", (_name, life, today, problem) => {
  const said = rootListProblem(issuer, list(life), at(today));
  if (problem === undefined) expect(said).toBeUndefined();
  else expect(said).toMatch(problem);
});

test("a list that lives as long as the issuing certificate is no cause for alarm", () => {
  const { notAfter } = issuer.certificate;
  const whole = { ...list(1), nextUpdate: notAfter };
  const soon = new Date(notAfter.getTime() - day);
  expect(rootListProblem(issuer, whole, soon)).toBeUndefined();
});

test("an issuing certificate that names no list of this service needs none", () => {
  expect(rootListProblem(issuer, undefined, now)).toBeUndefined();
});
