import { statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { writeRefusal } from "./refusal.ts";
import { cannotOpen } from "./sqlite-errors.ts";

export interface Connection {
  readonly handle: DatabaseSync;
  /** Why it is for reading only: `EROFS`, `EACCES`. */
  readonly readOnly: string | undefined;
  /** It sees nothing of what others write, so it is good for one transaction. */
  readonly blind: boolean;
}

/** Connects to the database at `path`, which is there; for reading only if that is all the system allows. */
export function connect(path: string): Connection {
  const readOnly = writeRefusal(path);
  if (readOnly !== undefined) return connectForReading(path, readOnly);
  const handle = new DatabaseSync(path, { timeout: 0 });
  const setup = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";
  prepared(handle, setup);
  return { handle, readOnly, blind: false };
}

function connectForReading(path: string, readOnly: string): Connection {
  const handle = new DatabaseSync(path, { timeout: 0, readOnly: true });
  try {
    prepared(handle, "PRAGMA schema_version");
    return { handle, readOnly, blind: false };
  } catch (error) {
    // A log needs files beside it, which cannot be made there. Where there is none, SQLite can be told that nobody writes:
    // https://www.sqlite.org/wal.html#read_only_databases
    if (!cannotOpen(error) || readOnly !== "EROFS" || hasLog(path)) throw error;
  }
  const url = pathToFileURL(path);
  url.searchParams.set("immutable", "1");
  return { handle: new DatabaseSync(url, { timeout: 0, readOnly: true }), readOnly, blind: true };
}

function prepared(handle: DatabaseSync, sql: string): void {
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
