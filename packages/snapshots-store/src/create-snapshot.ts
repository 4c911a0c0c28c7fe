import { CodedError } from "@varve/errors";
import type { CreateOptions } from "@varve/snapshots";
import type { Database } from "./database.ts";
import { isErrno, withSubject } from "./errno.ts";
import { checkLabels } from "./labels.ts";
import * as record from "./record.ts";
import type { NewSnapshot, StoredSnapshot } from "./snapshot-store.ts";
import type { StoreParts } from "./store-parts.ts";

/** Makes the directory aside, and gives it its place in the transaction that records it. */
export async function createSnapshot(
  parts: StoreParts,
  snapshot: NewSnapshot,
  options: CreateOptions,
): Promise<StoredSnapshot> {
  checkLabels(snapshot.key, options.labels ?? {});
  const { database, directories, lostWrites } = parts;
  const { build } = snapshot;
  const { failures } = lostWrites;
  if (build === undefined) return insert(parts, snapshot, options);
  const parentIds = await parentIdsNow(database, snapshot, options.signal);
  const staged = directories.stage();
  try {
    await buildOn(database, snapshot, { staged, build: () => build(staged, parentIds) });
    const created = await insert(parts, snapshot, options, { staged, parentIds });
    if (lostWrites.failures !== failures) lostWrites.add(created.id);
    return created;
  } catch (error) {
    // What cannot be removed now is left to a later cleanup; the error that matters is the one we have.
    await directories.unstage(staged).catch(() => undefined);
    throw error;
  }
}

/** Before anything is built in vain; without a parent the transaction at the end is enough. */
async function parentIdsNow(
  database: Database,
  snapshot: NewSnapshot,
  signal: AbortSignal | undefined,
): Promise<readonly number[]> {
  signal?.throwIfAborted();
  if (snapshot.key !== "" && snapshot.parent === undefined) return [];
  return database.read(() => {
    const parentIds = parentIdsOf(database, snapshot);
    snapshot.admit?.(parentIds);
    return parentIds;
  }, signal);
}

/** Inside a section of the database. */
function parentIdsOf(database: Database, { key, parent }: NewSnapshot): readonly number[] {
  record.mustBeFree(database, key);
  return parent === undefined ? [] : record.chainOf(database, record.committedParent(database, parent));
}

async function buildOn(
  database: Database,
  snapshot: NewSnapshot,
  { staged, build }: { readonly staged: string; readonly build: () => Promise<void> },
): Promise<void> {
  try {
    await build();
  } catch (error) {
    // A parent that was removed under our hands explains why its files are missing.
    await database.read(() => parentIdsOf(database, snapshot));
    const subject = `snapshot ${snapshot.key}: cannot be made`;
    // F12: looked for again, it may be back in its place.
    if (isErrno(error, "ELOOP", "ENOTDIR") && snapshot.parent !== undefined) {
      const message = `${subject}: somebody replaced the directory of snapshot ${snapshot.parent} meanwhile`;
      throw new CodedError("ERR_DATA_LOSS", message, { cause: error });
    }
    throw withSubject(error, subject, staged);
  }
}

async function insert(
  { database, directories }: StoreParts,
  snapshot: NewSnapshot,
  options: CreateOptions,
  built?: { readonly staged: string; readonly parentIds: readonly number[] },
): Promise<StoredSnapshot> {
  const { key, kind, parent } = snapshot;
  const section = (): StoredSnapshot => {
    const parentIds = parentIdsOf(database, snapshot);
    // Removed meanwhile and made anew: what was built does not go with that one.
    if (built !== undefined && parentIds[0] !== built.parentIds[0]) throw record.notFound(parent ?? "");
    snapshot.admit?.(parentIds);
    const identity = { name: key, kind, hasDirectory: built !== undefined };
    const id = record.insertSnapshot(database, { ...identity, parent: parentIds[0] });
    record.putLabels(database, id, options.labels ?? {});
    if (built !== undefined) {
      directories.settle(built.staged, id);
      database.undo(() => directories.unsettle(id, built.staged));
    }
    return { ...identity, id, parentIds, labels: record.labelsOf(database, id) };
  };
  // Of active snapshots and views nothing has to survive a power cut; without its record the directory goes at the next open.
  return database.note(section, options.signal);
}
