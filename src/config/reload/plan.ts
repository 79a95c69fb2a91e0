/** From one configuration to the next while a service runs: what is taken, what waits for a restart. */

import { accepted, type Outcome } from "../../refusal.ts";
import { type CompiledConfig, compileConfig } from "../compile.ts";
import type { LoadedConfig } from "../load/load.ts";
import { whenChanged } from "../schema/when-changed.ts";
import { changedKeys, type RunningKey, runningKeys } from "./running.ts";

/** What a process has in force. */
export interface InForce {
  readonly loaded: LoadedConfig;
  readonly keys: Readonly<Record<string, RunningKey>>;
}

/** What a reload would bring into force. */
export interface Reload {
  readonly next: InForce;
  /** The new values, save those that wait, which are the old ones. */
  readonly config: CompiledConfig;
  /** Changed keys that the reload takes. */
  readonly taken: readonly string[];
  /** Changed keys that wait for a restart. */
  readonly waiting: readonly string[];
}

/** The configuration that a process starts with. */
export function inForce(loaded: LoadedConfig): InForce {
  return { loaded, keys: runningKeys(loaded) };
}

/**
 * Compares the configuration in force with one that was read now. Refuses with
 * `invalid-configuration` when that one, or what of it can be taken, is wrong.
 */
export function planReload(running: InForce, read: LoadedConfig): Outcome<Reload> {
  const whole = compileConfig(read);
  if (!whole.ok) return whole;
  const loaded = { ...read, values: heldBack(running.loaded, read) };
  const config = compileConfig(loaded);
  if (!config.ok) return config;
  const changed = changedKeys(running.keys, read);
  const waiting = new Set(changed.filter((one) => one.takesEffect === "restart").map(keyOf));
  const keys = runningKeys(read);
  for (const key of waiting) {
    const old = running.keys[key];
    if (old === undefined) delete keys[key];
    else keys[key] = old;
  }
  return accepted({
    next: { loaded, keys },
    config: config.value,
    taken: changed.map(keyOf).filter((key) => !waiting.has(key)),
    waiting: [...waiting],
  });
}

const keyOf = ({ key }: { readonly key: string }) => key;

/** The values that were read, with those in force where a change waits for a restart. */
function heldBack(running: LoadedConfig, read: LoadedConfig): LoadedConfig["values"] {
  let values: Branch = { ...read.values };
  for (const [key, when] of Object.entries(whenChanged)) {
    if (when === "reload") continue;
    const path = key.split(".");
    values = withValue(values, path, valueAt(running.values, path));
  }
  // Each value is one that the schema's walk has made, at its own place.
  return values as LoadedConfig["values"];
}

type Branch = Readonly<Record<string, unknown>>;

function valueAt(branch: Branch, [step = "", ...below]: readonly string[]): unknown {
  return below.length === 0 ? branch[step] : valueAt(branch[step] as Branch, below);
}

function withValue(branch: Branch, path: readonly string[], value: unknown): Branch {
  const [step = "", ...below] = path;
  if (below.length > 0) {
    return { ...branch, [step]: withValue(branch[step] as Branch, below, value) };
  }
  const { [step]: _, ...others } = branch;
  return value === undefined ? others : { ...branch, [step]: value };
}
