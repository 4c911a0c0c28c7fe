import assert from "node:assert/strict";
import { canCheck } from "@varve/snapshots";
import type { Checker, Snapshotter } from "@varve/snapshots";
import { list } from "./material.ts";

/** What a check finds, as `kind name`; sorted. */
export async function problems(snapshotter: Checker): Promise<string[]> {
  const found = await list(snapshotter.check());
  for (const { name, message } of found) assert.notEqual(message, "", name);
  return found.map(({ name, kind }) => `${kind} ${name}`).toSorted();
}

export function checker(snapshotter: Snapshotter): Snapshotter & Checker {
  assert.ok(canCheck(snapshotter), "does not implement Checker");
  return snapshotter;
}
