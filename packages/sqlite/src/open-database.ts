import { accessSync, closeSync, constants, existsSync, openSync } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { CodedError } from "@varve/errors";
import type { Database } from "./database.ts";
import { systemError } from "./errors.ts";
import { migrate } from "./migrate.ts";
import { codeOf } from "./refusal.ts";
import { SqliteDatabase } from "./sqlite-database.ts";

export interface DatabaseOptions {
  /** The file; it and its directory are made if they are missing, for this user alone. */
  readonly path: string;
  /** What the file is to users: starts every message, before the path. */
  readonly subject: string;
  /** Element i, SQL statements, brings format i to i + 1. A released element is never changed. */
  readonly migrations: readonly string[];
  /**
   * Written into the file, so that others can be told from ours: one without is ERR_INVALID_DATA. Without it the directory
   * is taken to be the caller's own, and a file of another kind is ERR_DATA_LOSS.
   */
  readonly applicationId?: number | undefined;
  /** `full` (default): a write survives a power cut. `none`: it survives the end of the process, and nothing is ever synced. */
  readonly durability?: "full" | "none" | undefined;
  /** How long to wait for other processes before ERR_UNAVAILABLE. Default: 10 000. */
  readonly patienceMs?: number | undefined;
  /**
   * Throws if there are traces of records that the database does not have. Asked before a connection that may write,
   * `"connecting"`: a file that is missing is about to be made or is told as lost; and before the tables are made,
   * `"making"`, while nobody else can write.
   */
  readonly mustNotBeLost?: ((when: "connecting" | "making") => void) | undefined;
}

/**
 * Opens the database, makes it if there is none, and brings it to the newest format in one step. What cannot be written
 * is opened for reading.
 *
 * @throws ERR_NOT_IMPLEMENTED the file has a newer format
 * @throws ERR_INVALID_DATA it is no database, or one of another program: see `applicationId`
 * @throws ERR_DATA_LOSS it is damaged; of every call
 * @throws ERR_UNAVAILABLE another process has locked it for longer than `patienceMs`; of every call
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { subject, durability = "full", patienceMs = 10_000, applicationId, migrations, mustNotBeLost } = options;
  const path = resolve(options.path);
  const named = { path, subject, foreign: applicationId === undefined ? "ERR_DATA_LOSS" : "ERR_INVALID_DATA" } as const;
  const beforeConnect = (isFirst: boolean): void => {
    mustNotBeLost?.("connecting");
    if (existsSync(path)) return;
    // SQLite would make another.
    if (!isFirst) throw new CodedError("ERR_DATA_LOSS", `${subject} ${path}: is gone`);
    makeFile(path, subject);
  };
  const database = new SqliteDatabase({ ...named, durability, patienceMs, beforeConnect });
  const format = { ...named, migrations, applicationId, beforeMaking: () => mustNotBeLost?.("making") };
  try {
    await database.withReserve(async () => {
      await makeDirectory(dirname(path), { subject, isDurable: durability === "full" });
      await migrate(database, format);
    });
    if (!database.readOnly) await database.hold();
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

// SQLite would hide why the file cannot be made. A file that exists is not touched: closing it would drop the locks that
// another thread of this process has on it, for those of fcntl(2) belong to the process.
function makeFile(path: string, subject: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw systemError(codeOf(error), `${subject} ${path}: cannot be made`, error);
  }
}

interface DirectoryOptions {
  readonly subject: string;
  readonly isDurable: boolean;
}

/** Makes the directory, and has the names of those that were made on the way on disk. */
async function makeDirectory(path: string, { subject, isDurable }: DirectoryOptions): Promise<void> {
  if (existsSync(path)) return;
  let parent = dirname(path);
  while (!existsSync(parent)) parent = dirname(parent);
  try {
    // What `mkdir` says of a read-only file system is that something was not found (F05).
    accessSync(parent, constants.W_OK);
    const first = await mkdir(path, { recursive: true, mode: 0o700 });
    if (first === undefined || !isDurable) return;
    for (let made = path; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made));
  } catch (error) {
    throw systemError(codeOf(error), `${subject} ${path}: cannot be made`, error);
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
