import { randomUUID } from "node:crypto";
import { hasCode } from "@varve/errors";
import { currentOwner } from "@varve/locks";
import type { Namespace } from "@varve/metadata";
import type { Mount } from "@varve/mount";
import { labelOwner } from "@varve/snapshots";
import type { Snapshotter } from "@varve/snapshots";
import type { Stack } from "../stack.ts";
import { underLease } from "../under-lease.ts";
import type { SnapshotChangeOptions } from "./snapshot-layers.ts";
import type { ComparedMounts } from "./write-compared.ts";

/** Clean-up has a deadline of its own: the caller's signal may be what ended the work. */
const patienceMs = 30_000;

/**
 * Runs `work` with the mounts of a snapshot and of what it is compared with. Committed snapshots are seen through views, which are
 * gone afterwards; those of a killed process go with its lease.
 */
export async function withChangedSnapshot<T>(
  stack: Stack,
  key: string,
  options: SnapshotChangeOptions,
  work: (mounts: ComparedMounts, namespace: Namespace) => Promise<T>,
): Promise<T> {
  const { base, signal, snapshotter: name = stack.defaultSnapshotter } = options;
  // Opened once for all: what killed processes have left in it goes then.
  await stack.opened.get(name);
  const compareUnder = async (namespace: Namespace): Promise<T> => {
    const snapshotter = await namespace.snapshotter(name);
    const { parent } = await snapshotter.stat(key, { signal });
    const views = new Views(snapshotter, signal);
    let result: T;
    try {
      const below = base ?? parent;
      const lower = below === undefined ? [] : await views.of(below);
      result = await work({ lower, upper: await views.of(key) }, namespace);
    } catch (error) {
      // Of two errors the first one says what went wrong.
      await views.remove().catch(() => undefined);
      throw error;
    }
    await views.remove();
    return result;
  };
  return underLease(stack, compareUnder, signal);
}

/** Views that are there for a while. */
class Views {
  readonly #keys: string[] = [];
  readonly #snapshotter: Snapshotter;
  readonly #signal: AbortSignal | undefined;

  constructor(snapshotter: Snapshotter, signal: AbortSignal | undefined) {
    this.#snapshotter = snapshotter;
    this.#signal = signal;
  }

  /** How a snapshot is seen: one that is committed through a view of its own. */
  async of(name: string): Promise<readonly Mount[]> {
    const { kind } = await this.#snapshotter.stat(name, { signal: this.#signal });
    if (kind !== "committed") return this.#snapshotter.mounts(name, { signal: this.#signal });
    const key = `compare ${randomUUID()}`;
    // Before it is made: a call that fails may have made it all the same.
    this.#keys.push(key);
    return this.#snapshotter.view(key, name, { labels: { [labelOwner]: currentOwner() }, signal: this.#signal });
  }

  /** The first failure is told when all have been tried; a collection takes what stays. */
  async remove(): Promise<void> {
    const failures: unknown[] = [];
    for (const key of this.#keys) {
      try {
        await this.#snapshotter.remove(key, { signal: AbortSignal.timeout(patienceMs) });
      } catch (error) {
        if (!hasCode(error, "ERR_NOT_FOUND")) failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}
