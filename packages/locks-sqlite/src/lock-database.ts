import { renameSync, rmSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { CodedError, hasCode } from "@varve/errors";
import { openDatabase } from "@varve/sqlite";
import type { Database } from "@varve/sqlite";
import { migrations } from "./lock-table.ts";

/** "vLck", in SQLite's header. */
const applicationId = 0x764c636b;
/** https://www.sqlite.org/rescode.html#notadb */
const notADatabase = 26;
const patienceMs = 10_000;

/**
 * Opens the file, which is never synced: after a power cut all that it says is void. So one that is damaged is put aside,
 * as `<path>-damaged`, and another made.
 */
export async function openLockDatabase(path: string): Promise<Database> {
  const inode = inodeOf(path);
  try {
    return await openSound(path);
  } catch (error) {
    if (inode === undefined || !isDamage(error)) throw error;
  }
  putAside(path, inode);
  return openSound(path);
}

async function openSound(path: string): Promise<Database> {
  const database = await openDatabase({
    path,
    subject: "locks",
    migrations,
    applicationId,
    durability: "none",
    patienceMs,
  });
  try {
    const [problem] = await database.problems();
    if (problem === undefined) return database;
    throw new CodedError("ERR_DATA_LOSS", `locks ${path}: the database is damaged: ${problem}`);
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Not so the database of another program: that is whole, and none of ours. */
function isDamage(error: unknown): boolean {
  if (hasCode(error, "ERR_DATA_LOSS")) return true;
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && "errcode" in cause && cause.errcode === notADatabase;
}

/**
 * Several processes may have found the damage. One at a time gets here, and who sees another file than the one it had found
 * damaged leaves it. The lock is SQLite's on a file without contents, which the kernel frees when its holder dies.
 */
function putAside(path: string, inode: bigint): void {
  const turn = new DatabaseSync(`${path}-repair`, { timeout: patienceMs });
  try {
    turn.exec("BEGIN EXCLUSIVE");
    if (inodeOf(path) !== inode) return;
    // First: a log that is left would be taken for that of the new file.
    for (const suffix of ["-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
    renameSync(path, `${path}-damaged`);
  } finally {
    turn.close();
  }
}

function inodeOf(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}
