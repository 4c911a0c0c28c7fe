import { hasCode } from "@varve/errors";
import { canCheck } from "@varve/snapshots";
import type { CallOptions, Checker, SnapshotProblem } from "@varve/snapshots";
import { rowsBelow } from "../snapshots/rows.ts";
import type { SnapshotRow } from "../snapshots/rows.ts";
import { withNames } from "../snapshots/users-words.ts";
import type { StoreContext } from "../store-context.ts";
import type { BackendSnapshots } from "./find-rest.ts";

/** A record whose snapshot is there, but not its files as they were. */
export interface DamagedSnapshot {
  readonly row: SnapshotRow;
  readonly kind: SnapshotProblem["kind"];
  /** One sentence, with the name that the snapshot has in its namespace. */
  readonly message: string;
}

/**
 * Has each snapshotter that can look at its files, once for all namespaces (F12, G-13). What has no record is told
 * elsewhere.
 */
export async function findDamagedSnapshots(
  { database }: StoreContext,
  below: ReadonlyMap<string, BackendSnapshots>,
  options: CallOptions,
): Promise<DamagedSnapshot[]> {
  const { signal } = options;
  const found: DamagedSnapshot[] = [];
  for (const [snapshotter, { backend }] of below) {
    if (!canCheck(backend)) continue;
    for await (const { name: key, kind, message } of problemsOf(backend, options)) {
      const rows = await database.read((session) => rowsBelow(session, snapshotter, key), signal);
      for (const row of rows) found.push({ row, kind, message: withNames(message, new Map([[key, row.name]])) });
    }
  }
  // What is of no use to anybody goes first, or it would keep what it stands on.
  return found.toSorted((one, other) => Number(one.row.kind === "committed") - Number(other.row.kind === "committed"));
}

/** A snapshotter in front of others may not know before it is asked. */
async function* problemsOf(checker: Checker, options: CallOptions): AsyncGenerator<SnapshotProblem, void, undefined> {
  try {
    yield* checker.check(options);
  } catch (error) {
    if (!hasCode(error, "ERR_NOT_IMPLEMENTED")) throw error;
  }
}
