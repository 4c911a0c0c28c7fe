import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";

export const isRoot: boolean = process.geteuid?.() === 0;

export interface Temp extends Disposable {
  readonly path: string;
  /** The file of the locks. */
  readonly file: string;
}

/** A directory for one test: `using temp = tempDir()`. */
export function tempDir(): Temp {
  const path = realpathSync(mkdtempSync(join(tmpdir(), "varve-locks-")));
  return { path, file: join(path, "locks.db"), [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

export interface Disk extends Temp {
  remount(how: "ro" | "rw"): void;
  /** Takes all the space that is left. */
  fill(): void;
  /** Gives it back. */
  empty(): void;
}

/** A small file system of its own. Needs root. */
export function smallDisk(): Disk {
  const { path, file, [Symbol.dispose]: remove } = tempDir();
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "varve-test", path]);
  return {
    path,
    file,
    remount: (how) => void execFileSync("mount", ["-o", `remount,${how}`, path]),
    fill: () => fill(path),
    empty: () => {
      for (const name of readdirSync(path)) if (name.startsWith("filler-")) rmSync(join(path, name));
    },
    [Symbol.dispose]: () => {
      execFileSync("umount", [path]);
      remove();
    },
  };
}

function fill(directory: string): void {
  for (let size = 1 << 20; size > 0; size >>= 1) {
    try {
      for (let file = 0; ; file += 1) writeFileSync(join(directory, `filler-${size}-${file}`), Buffer.alloc(size, 1));
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
    }
  }
}

/** What the table says, read by a connection of its own. */
export function rowsIn(file: string): readonly Readonly<Record<string, unknown>>[] {
  const database = new DatabaseSync(file);
  try {
    return database.prepare("SELECT * FROM locks ORDER BY key").all();
  } finally {
    database.close();
  }
}
