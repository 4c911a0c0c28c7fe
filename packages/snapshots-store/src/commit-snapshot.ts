import type { CreateOptions } from "@varve/snapshots";
import { checkLabels } from "./labels.ts";
import * as record from "./record.ts";
import { mustStand } from "./snapshot-files.ts";
import type { Sealing, StoredSnapshot } from "./snapshot-store.ts";
import type { StoreParts } from "./store-parts.ts";

/** Seals the contents, and then records that they are committed. */
export async function commitSnapshot(
  { database, directories, lostWrites }: StoreParts,
  { key, name, seal }: Sealing,
  { labels = {}, signal }: CreateOptions,
): Promise<StoredSnapshot> {
  checkLabels(name, labels);
  const toCommit = (): StoredSnapshot => {
    record.mustBeFree(database, name);
    const snapshot = record.storedSnapshot(database, record.activeRow(database, key));
    lostWrites.mustBeWhole(snapshot.id, key);
    if (snapshot.hasDirectory) mustStand(`snapshot ${key}`, directories.of(snapshot.id));
    return snapshot;
  };
  const before = await database.read(toCommit, signal);
  const contents = await seal(before);
  await lostWrites.settled();
  return database.write(() => {
    const { id } = toCommit();
    // Removed meanwhile and made anew: nobody has asked to commit that one.
    if (id !== before.id) throw record.notFound(key);
    record.commitRow(database, id, name, contents);
    record.putLabels(database, id, labels);
    return record.storedSnapshot(database, record.rowOf(database, name));
  }, signal);
}
