import { hasCode } from "@varve/errors";
import { isErrno } from "./errno.ts";
import * as record from "./record.ts";
import type { StoreParts } from "./store-parts.ts";

/** Removes the record, and then the directory. */
export async function removeSnapshot(parts: StoreParts, name: string, signal: AbortSignal | undefined): Promise<void> {
  const id = await forget(parts, name, signal).catch(async (error: unknown) => {
    // A full disk has no room for the note that something is gone, either (F01).
    if (!isErrno(error, "ENOSPC") || !(await freeSpace(parts, name, signal))) throw error;
    return forgetEmptied(parts, name, signal);
  });
  if (id === undefined || parts.removal === "later") return;
  try {
    await parts.directories.removeOf(id);
  } catch {
    // The snapshot is gone, which is what was asked for. Its directory is now one without a record (U-OVL.8).
  }
}

/** Returns the id that is free of its record, if there is a directory to it. */
async function forget(
  { database }: StoreParts,
  name: string,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  return database.free(() => {
    const row = record.rowOf(database, name);
    record.deleteRow(database, row);
    return row["directory"] === 1 ? Number(row["id"]) : undefined;
  }, signal);
}

/** A cleanup takes a record without a directory for one whose files are gone, and may be faster. */
async function forgetEmptied(
  parts: StoreParts,
  name: string,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  try {
    return await forget(parts, name, signal);
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return undefined;
    throw error;
  }
}

/** Removes what an active snapshot holds before its record, which nobody but its remover can miss. */
async function freeSpace(
  { database, directories }: StoreParts,
  name: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { id, kind } = await database.read(() => record.infoOf(database, record.rowOf(database, name)), signal);
  return kind === "active" && (await directories.removeOf(id));
}

/** Removes what belongs to no snapshot, and the records of active snapshots and views whose files are gone. */
export async function cleanUp({ database, directories }: StoreParts, signal: AbortSignal | undefined): Promise<void> {
  // Nobody can create meanwhile: a directory gets its place in the transaction that records it.
  const section = (): ReturnType<typeof directories.sweep> => {
    const identities = record.directoriesOf(database);
    const sweep = directories.sweep(identities);
    for (const id of sweep.gone) record.deleteOf(database, id);
    return sweep;
  };
  // Alone: what it takes for removed must not come back when others fail, or the process is killed.
  const { errors, trash } = await database.writeAlone(section, signal);
  const failed = [...errors];
  await directories.remove(trash, signal).catch((error: unknown) => failed.push(error));
  if (failed.length > 0) throw failed[0];
}
