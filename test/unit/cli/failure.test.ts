import { expect, test } from "vitest";
import { CeremonyRefused, FolderOccupied } from "../../../src/ceremony/refused.ts";
import { perform } from "../../../src/cli/ceremony.ts";
import { CommandFailure, exitCodes, failure } from "../../../src/cli/failure.ts";
import { catalogue, type Refusal, type RefusalCode, renderRefusal } from "../../../src/refusal.ts";

const refusalOf = (code: RefusalCode): Refusal => ({
  code,
  detail: "The request breaks one rule.",
  violations: [
    { field: "subject.O", rule: "subject.match", got: "a", want: "b", message: "O differs." },
  ],
});

test.each(Object.keys(catalogue) as RefusalCode[])(
  "%s is the same in the command line as everywhere, also out of a ceremony",
  async (code) => {
    const refusal = refusalOf(code);
    expect(failure(refusal).message).toBe(renderRefusal(refusal));
    await expect(
      perform(() => {
        throw CeremonyRefused.by(refusal);
      }),
    ).rejects.toEqual(failure(refusal));
  },
);

test.each([
  ["a sentence", new CeremonyRefused("No."), exitCodes.failed],
  ["an occupied folder", new FolderOccupied("No."), exitCodes.configuration],
])("%s of a ceremony ends a command with its exit code", async (_what, error, exitCode) => {
  const ended = await perform(() => Promise.reject(error)).catch((failed: unknown) => failed);
  expect(ended).toBeInstanceOf(CommandFailure);
  expect(ended).toMatchObject({ message: "No.", exitCode });
});

test("what a ceremony did not foresee stays what it is", async () => {
  const bug = new TypeError("a bug");
  await expect(perform(() => Promise.reject(bug))).rejects.toBe(bug);
});
