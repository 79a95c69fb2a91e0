import type { Violation } from "../../refusal.ts";
export function weaknessesOf(_k: unknown, _o: unknown): Violation[] {
  return [];
}
