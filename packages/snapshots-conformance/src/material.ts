import assert from "node:assert/strict";
import { hasCode } from "@varve/errors";
import type { ErrorCode } from "@varve/errors";
import type { Mount } from "@varve/mount";
import type { SnapshotKind, Snapshotter } from "@varve/snapshots";
import type { CaseContext } from "./case.ts";

export async function list<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

export async function rejects(promise: Promise<unknown>, code: ErrorCode, what?: string): Promise<void> {
  await assert.rejects(
    promise,
    (error) => {
      assert.ok(hasCode(error, code), `expected ${code}, got ${String(error)}`);
      return true;
    },
    what,
  );
}

export async function rejectsWith(promise: Promise<unknown>, reason: unknown, what?: string): Promise<void> {
  await assert.rejects(
    promise,
    (error) => {
      assert.equal(error, reason, what);
      return true;
    },
    what,
  );
}

/** A committed snapshot with nothing of its own in it. */
export async function commitEmpty(snapshotter: Snapshotter, name: string, parent?: string): Promise<void> {
  await snapshotter.prepare(`${name}-active`, parent);
  await snapshotter.commit(name, `${name}-active`);
}

/** One snapshot of each kind: `active`, `view` and `committed`, the first two on the third. */
export async function oneOfEach(snapshotter: Snapshotter): Promise<void> {
  await commitEmpty(snapshotter, "committed");
  await snapshotter.prepare("active", "committed");
  await snapshotter.view("view", "committed");
}

/** Makes a change in a new snapshot on top of `parent`, and commits it. */
export async function layer(
  { mounted }: CaseContext,
  snapshotter: Snapshotter,
  { name, on }: { readonly name: string; readonly on?: string | undefined },
  change: (root: string) => Promise<void>,
): Promise<void> {
  const key = `${name}-active`;
  await mounted(await snapshotter.prepare(key, on), change);
  await snapshotter.commit(name, key);
}

/** Looks at a committed snapshot through a view. */
export async function look(
  { mounted }: CaseContext,
  snapshotter: Snapshotter,
  name: string,
  inspect: (root: string) => Promise<void>,
): Promise<void> {
  const key = `look-at-${name}`;
  await mounted(await snapshotter.view(key, name), inspect);
  await snapshotter.remove(key);
}

export async function assertKind(snapshotter: Snapshotter, name: string, kind: SnapshotKind): Promise<void> {
  const info = await snapshotter.stat(name);
  assert.equal(info.name, name);
  assert.equal(info.kind, kind);
}

/** Whether there is a snapshot of this name, which only ERR_NOT_FOUND denies. */
export async function has(snapshotter: Snapshotter, name: string): Promise<boolean> {
  try {
    await snapshotter.stat(name);
    return true;
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return false;
    throw error;
  }
}

export async function names(snapshotter: Snapshotter, filters?: readonly string[]): Promise<string[]> {
  return (await list(snapshotter.walk({ filters }))).map((info) => info.name).toSorted();
}

/** Waits for all of them before it rejects with the error of the first that has failed. */
export async function together(work: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(work)) if (result.status === "rejected") throw result.reason;
}

/** What the one successful call gave. All others must have failed with `code`. */
export function oneWins<T>(results: readonly PromiseSettledResult<T>[], code: ErrorCode): T[] {
  for (const result of results) {
    if (result.status === "rejected") assert.ok(hasCode(result.reason, code), String(result.reason));
  }
  const won = results.filter((result) => result.status === "fulfilled");
  assert.equal(won.length, 1);
  return won.map((result) => result.value);
}

/** The directory of a snapshot without a parent, for cases that need `bind`. */
export function directoryOf(mounts: readonly Mount[]): string {
  const [mount] = mounts;
  assert.ok(mount !== undefined && mounts.length === 1 && mount.type === "bind", "not one bind mount");
  return mount.source;
}
