import { execFileSync } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { openDatabase } from "@varve/sqlite";
import type { Database, DatabaseOptions } from "@varve/sqlite";

export const isRoot: boolean = process.geteuid?.() === 0;

/** A directory for one test: `using temp = tempDir()`. */
export function tempDir(): { readonly path: string } & Disposable {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "varve-sqlite-")));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export interface Disk extends Disposable {
  readonly path: string;
  remount(how: "ro" | "rw"): void;
}

/** A small file system of its own. Needs root. */
export function smallDisk(size = "4m"): Disk {
  const { path, [Symbol.dispose]: remove } = tempDir();
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "varve-test", path]);
  return {
    path,
    remount: (how) => void execFileSync("mount", ["-o", `remount,${how}`, path]),
    [Symbol.dispose]: () => {
      execFileSync("umount", [path]);
      remove();
    },
  };
}

/** Takes all that is left of the disk with files in `directory`. */
export function fillDisk(directory: string): void {
  for (let size = 1 << 20; size > 0; size >>= 1) {
    try {
      for (let file = 0; ; file += 1) writeFileSync(join(directory, `filler-${size}-${file}`), Buffer.alloc(size, 1));
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
    }
  }
}

export const table = "CREATE TABLE items (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT";

/** Opens `items.db` in a directory, without a sync of the disk for each write: tests are many. */
export function openIn(path: string, options: Partial<DatabaseOptions> = {}): Promise<Database> {
  const defaults = { path: join(path, "items.db"), subject: "items", migrations: [table], durability: "none" } as const;
  return openDatabase({ ...defaults, ...options });
}

export const insert = "INSERT INTO items VALUES (?, ?)";

/** Writes one item. */
export function put(database: Database, name: string, value = ""): Promise<number> {
  return database.write((session) => session.run(insert, name, value));
}

export async function names(database: Database): Promise<readonly string[]> {
  const rows = await database.read((session) => session.all("SELECT name FROM items ORDER BY name"));
  return rows.map((row) => String(row["name"]));
}

/** A connection that is none of the package's: what another process would do. */
export function raw(path: string): DatabaseSync & Disposable {
  const connection = new DatabaseSync(join(path, "items.db"));
  return Object.assign(connection, {
    [Symbol.dispose]: () => {
      if (connection.isOpen) connection.close();
    },
  });
}
