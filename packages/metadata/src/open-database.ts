import { accessSync, constants, existsSync, statSync } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { Database } from "./database.ts";
import { migrate } from "./migrate.ts";
import { codeOf } from "./open-obstacle.ts";
import { Reserve } from "./reserve.ts";
import { cannotOpen, isNoSpace, resultOf, translate } from "./sqlite-errors.ts";

export interface OpenDatabaseOptions {
  readonly path: string;
  readonly durability: "full" | "none";
}

/**
 * Opens the file, and brings it to the newest format in one step. What cannot be written is opened for reading.
 *
 * @throws ERR_NOT_IMPLEMENTED the file has a newer format
 * @throws ERR_INVALID_DATA the file is no database of ours
 * @throws ERR_DATA_LOSS the file is damaged
 */
export async function openDatabase(options: OpenDatabaseOptions): Promise<Database> {
  const { durability } = options;
  const path = resolve(options.path);
  await makeDirectory(dirname(path), durability);
  const reserve = new Reserve(path);
  const writable = isWritable(path);
  const attempt = (): Promise<Database> => prepared(path, writable, durability);
  try {
    return await attempt();
  } catch (error) {
    // A full disk has no room even for the files that SQLite opens a database with.
    if (!isNoSpace(error) || !(await reserve.release())) throw error;
    return await attempt();
  } finally {
    if (writable) await reserve.hold();
  }
}

async function prepared(path: string, writable: boolean, durability: "full" | "none"): Promise<Database> {
  const database = new Database(path, writable ? forWriting(path) : forReading(path), {
    readOnly: !writable,
    durability,
  });
  try {
    await migrate(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function forWriting(path: string): DatabaseSync {
  return connect(path, () => new DatabaseSync(path, { timeout: 0, enableForeignKeyConstraints: true }));
}

function forReading(path: string): DatabaseSync {
  return connect(path, () => {
    const connection = new DatabaseSync(path, { timeout: 0, readOnly: true });
    try {
      connection.prepare("PRAGMA schema_version").get();
      return connection;
    } catch (error) {
      connection.close();
      // Without the files that others would find its log by, SQLite must be told that nobody writes:
      // https://www.sqlite.org/wal.html#read_only_databases
      if (resultOf(error) !== cannotOpen || hasLog(path)) throw error;
      const url = pathToFileURL(path);
      url.searchParams.set("immutable", "1");
      return new DatabaseSync(url, { timeout: 0, readOnly: true });
    }
  });
}

function connect(path: string, attempt: () => DatabaseSync): DatabaseSync {
  try {
    return attempt();
  } catch (error) {
    throw translate(error, path);
  }
}

function hasLog(path: string): boolean {
  return (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

/** Whether SQLite can write the file and make its own beside it. */
function isWritable(path: string): boolean {
  try {
    accessSync(dirname(path), constants.W_OK);
    if (existsSync(path)) accessSync(path, constants.W_OK);
    return true;
  } catch (error) {
    if (["EROFS", "EACCES", "EPERM"].includes(codeOf(error)) && existsSync(path)) return false;
    throw error;
  }
}

/** Makes the directory, and has the names of those that were made on the way on disk. */
async function makeDirectory(path: string, durability: "full" | "none"): Promise<void> {
  if (existsSync(path)) return;
  let parent = dirname(path);
  while (!existsSync(parent)) parent = dirname(parent);
  // What `mkdir` says of a read-only file system is that something was not found.
  accessSync(parent, constants.W_OK);
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first === undefined || durability === "none") return;
  for (let made = path; made.length >= first.length; made = dirname(made)) {
    const directory = await open(dirname(made));
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}
