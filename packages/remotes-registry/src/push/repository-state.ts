import { createKeyedLock } from "@varve/locks";
import type { KeyedLock } from "@varve/locks";
import type { Registry } from "../hosts/registry.ts";

/** What pushes into one repository share within a process. */
export interface RepositoryState {
  /** Held for what is pushed right now: who comes second finds it there (U-PSH.2). */
  readonly locks: KeyedLock;
  /** Whether the registry lists referrers; asked once (R4). */
  listsReferrers?: boolean | undefined;
}

const states = new WeakMap<Registry, RepositoryState>();

/** What is shared by all who push to `registry`, which stands for one repository. */
export function stateOf(registry: Registry): RepositoryState {
  const known = states.get(registry);
  if (known !== undefined) return known;
  const state: RepositoryState = { locks: createKeyedLock() };
  states.set(registry, state);
  return state;
}
