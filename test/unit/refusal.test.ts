import { describe, expect, test } from "vitest";
import { ClientError, describeProblem, readProblem } from "../../src/client/problem.ts";
import { catalogue, type Refusal, type RefusalCode, renderRefusal } from "../../src/refusal.ts";
import { problemDocument } from "../../src/server/problem.ts";

const codes = Object.keys(catalogue) as RefusalCode[];
const refusalOf = (code: RefusalCode): Refusal => ({
  code,
  detail: "The request breaks one rule.",
  violations: [
    { field: "subject.O", rule: "subject.match", got: "a", want: "b", message: "O differs." },
  ],
});

describe("one rendering of a refusal", () => {
  test("says code, detail, each violation, and what to do next", () => {
    expect(renderRefusal(refusalOf("rate-limited"))).toBe(
      [
        "rate-limited: The request breaks one rule.",
        "  subject.O (subject.match): O differs.",
        "Wait as long as Retry-After says, then try again.",
      ].join("\n"),
    );
  });

  test.each(codes)("%s is the same in the service and, off the wire, in the client", (code) => {
    const refusal = refusalOf(code);
    const document = problemDocument(refusal, "/", "req-1");
    const answer = { status: document.status, headers: {}, text: JSON.stringify(document) };
    expect(describeProblem(readProblem(answer)).replace(" (request req-1)", "")).toBe(
      renderRefusal(refusal),
    );
    expect(document.cure.startsWith(catalogue[code].cure)).toBe(true);
  });

  test("what never reached an authority is told in the same form", () => {
    expect(describeProblem(new ClientError("unreachable", "It did not answer."))).toMatch(
      /^unreachable: It did not answer\.\nCheck the URL, .+\.$/,
    );
  });
});
