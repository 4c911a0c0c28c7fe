import { statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { Connection } from "./connection.ts";
import type { Durability } from "./connection.ts";
import { isCannotOpen } from "./errors.ts";
import { writeRefusal } from "./refusal.ts";

/** Connects to the database at `path`, which is there; for reading only if that is all the system allows. */
export function connect(path: string, durability: Durability): Connection {
  const readOnly = writeRefusal(path);
  if (readOnly !== undefined) return connectForReading(path, { readOnly, durability });
  const handle = new DatabaseSync(path, { timeout: 0 });
  // Before anything is written: also what makes the file or closes it would be synced.
  if (durability === "none") executeFirst(handle, "PRAGMA synchronous = OFF");
  return new Connection(handle, { readOnly, isBlind: false, durability });
}

function connectForReading(
  path: string,
  kind: { readonly readOnly: string; readonly durability: Durability },
): Connection {
  const handle = new DatabaseSync(path, { timeout: 0, readOnly: true });
  try {
    executeFirst(handle, "PRAGMA schema_version");
    return new Connection(handle, { ...kind, isBlind: false });
  } catch (error) {
    // A log needs files beside it, which cannot be made there. Where there is none, SQLite can be told that nobody writes:
    // https://www.sqlite.org/wal.html#read_only_databases
    if (!isCannotOpen(error) || kind.readOnly !== "EROFS" || hasLog(path)) throw error;
  }
  const url = pathToFileURL(path);
  url.searchParams.set("immutable", "1");
  return new Connection(new DatabaseSync(url, { timeout: 0, readOnly: true }), { ...kind, isBlind: true });
}

/** The first statement opens the files. */
function executeFirst(handle: DatabaseSync, sql: string): void {
  try {
    handle.exec(sql);
  } catch (error) {
    handle.close();
    throw error;
  }
}

function hasLog(path: string): boolean {
  return (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
}
