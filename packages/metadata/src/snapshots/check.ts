import type { CallOptions, Checker, SnapshotProblem } from "@varve/snapshots";
import type { SnapshotPlace } from "./place.ts";
import { rowsBelow } from "./rows.ts";
import { withNames } from "./users-words.ts";

/** What the snapshotter below finds, as far as it is about this namespace, under the names that it has here. */
export async function* checkSnapshots(
  place: SnapshotPlace,
  checker: Checker,
  { signal }: CallOptions = {},
): AsyncGenerator<SnapshotProblem, void, undefined> {
  for await (const { name: key, kind, message } of checker.check({ signal })) {
    const rows = await place.database.read((session) => rowsBelow(session, place.snapshotter, key), signal);
    const ours = rows.filter(({ namespace }) => namespace === place.namespace);
    for (const { name } of ours) yield { name, kind, message: withNames(message, new Map([[key, name]])) };
  }
}
