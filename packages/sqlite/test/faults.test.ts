import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { names, openIn, raw, tempDir } from "./temp.ts";

const child = [process.execPath, fileURLToPath(new URL("child.ts", import.meta.url))] as const;
const mayTrace = spawnSync("strace", ["-qq", "-o", "/dev/null", "true"]).status === 0;

/** How each step of the child ended, under `command`. */
function run(command: string, args: readonly string[]): unknown[] {
  const { stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  const lines = stdout.split("\n").filter((line) => line !== "");
  if (lines.length === 0) throw new Error(stderr);
  return lines.map((line): unknown => JSON.parse(line));
}

function trace(file: string, fault: string, log = "/dev/null"): readonly string[] {
  const [calls = ""] = fault.split(":");
  return ["-f", "-qq", "-o", log, "-P", file, "-e", `trace=${calls}`, "-e", `inject=${fault}`, ...child];
}

/** The same, while calls that touch one of the database's files fail. */
function runWithFault(path: string, suffix: string, fault: string, what = "steps"): unknown[] {
  return run("strace", [...trace(join(path, `items.db${suffix}`), fault), path, what]);
}

function failure(step: string, code: string, reason: string, path: string): unknown {
  const message: unknown = expect.stringMatching(`^items ${join(path, "items.db")}: .*${reason}`);
  return { name: step, code, message };
}

const rest = [{ name: "work outside" }, { name: "put" }, { name: "take" }];
const done = [{ name: "open" }, ...rest];

// F04
test("a file that is opened with too few descriptors says so, and is opened when there are enough", async () => {
  using temp = tempDir();
  (await openIn(temp.path)).close();
  const ends = [0, 1, 2, 3, 8].map((left) =>
    run("sh", ["-c", 'ulimit -n 64; exec "$@"', "sh", ...child, temp.path, "steps", String(left)]),
  );
  const tooMany = failure("open", "EMFILE", "too many open files", temp.path);
  for (const end of ends.slice(0, 3)) {
    expect(end).toEqual([tooMany, { name: "open again" }, ...rest]);
  }
  for (const end of ends.slice(3)) expect(end.slice(-3)).toEqual(rest);
  expect(ends.at(-1)).toEqual(done);
});

test.each(["", "-wal"])("what lies in the place of items.db%s is named", async (suffix) => {
  using temp = tempDir();
  const path = join(temp.path, "items.db");
  if (suffix !== "") (await openIn(temp.path)).close();
  mkdirSync(`${path}${suffix}`);
  await expect(openIn(temp.path)).rejects.toMatchObject({
    code: "EISDIR",
    message: `items ${path}${suffix}: cannot be opened: illegal operation on a directory`,
  });
});

describe.skipIf(!mayTrace)("with calls that fail (needs strace)", () => {
  // F04, C01: without a lock two processes would write at once
  test.each(["EMFILE", "EROFS"])(
    "a file that SQLite could only open for reading, for %s, is opened again",
    async (code) => {
      using temp = tempDir();
      (await openIn(temp.path)).close();
      for (const suffix of ["", "-wal", "-shm"]) {
        expect(runWithFault(temp.path, suffix, `openat:error=${code}:when=1`)).toEqual(done);
      }
    },
  );

  test("a file that SQLite could only open for reading lets nobody work without the lock", async () => {
    using temp = tempDir();
    (await openIn(temp.path)).close();
    const path = join(temp.path, "items.db");
    using other = raw(temp.path);
    other.exec("BEGIN IMMEDIATE; INSERT INTO items VALUES ('theirs', '')");
    const log = join(temp.path, "log");
    const traced = spawn("strace", [...trace(path, "openat:error=EMFILE:when=1", log), temp.path, "steps"]);
    const output: string[] = [];
    traced.stdout.on("data", (text: Buffer) => output.push(text.toString()));
    const end = once(traced, "close");
    // For writing, for reading, and for writing again once it has noticed.
    const opened = (): number => (existsSync(log) ? readFileSync(log, "utf8").split("items.db").length - 1 : 0);
    const hasWorked = (): boolean => output.join("").includes("work outside");
    while (opened() < 3 && !hasWorked()) await sleep(5);
    expect(hasWorked()).toBe(false);
    other.exec("COMMIT");
    await end;
    const lines = output.join("").split("\n").slice(0, -1);
    expect(lines.map((line): unknown => JSON.parse(line))).toEqual(done);
  });

  test("a new database is synced, and the directories that were made for it, unless nothing is to be", () => {
    using temp = tempDir();
    const log = join(temp.path, "log");
    const synced = (durability: string): ReadonlySet<string> => {
      const path = join(temp.path, durability, "new");
      const watch = ["-f", "-qq", "-y", "-o", log, "-e", "trace=fsync,fdatasync"];
      const { status, stderr } = spawnSync("strace", [...watch, ...child, path, "make", durability]);
      expect([status, String(stderr)]).toEqual([0, ""]);
      const calls = readFileSync(log, "utf8").matchAll(/sync\([0-9]+<([^>]+)>\) = 0/gu);
      return new Set([...calls].map(([, file = ""]) => relative(temp.path, file)));
    };
    expect(synced("none")).toEqual(new Set());
    const full = synced("full");
    const files = ["", "full", "full/new", "full/new/items.db", "full/new/items.db-wal"];
    expect(files.filter((file) => !full.has(file))).toEqual([]);
  });

  // F06
  test("a log that cannot be synced is an error of the disk, and nothing that was to be written is tried again", async () => {
    using temp = tempDir();
    (await openIn(temp.path)).close();
    const ends = runWithFault(temp.path, "-wal", "fsync,fdatasync:error=EIO:when=1");
    const [, , put] = ends;
    expect(put).toEqual(failure("put", "EIO", "i/o error", temp.path));
    expect(ends.toSpliced(2, 1)).toEqual(done.toSpliced(2, 1));
  });

  test("what was noted is not in a log any more that could not be synced, for what follows would be lost with it", async () => {
    using temp = tempDir();
    (await openIn(temp.path)).close();
    const ends = runWithFault(temp.path, "-wal", "fsync,fdatasync:error=EIO:when=3", "notes");
    const failed = failure("put", "EIO", "i/o error", temp.path);
    expect(ends).toEqual([{ name: "put first" }, { name: "note" }, failed]);
    for (const suffix of ["-wal", "-shm"]) rmSync(join(temp.path, `items.db${suffix}`));
    using database = await openIn(temp.path);
    expect(await names(database)).toEqual(["first", "noted"]);
  });

  test("what was done outside is undone if the disk does not take the commit, and is done again", async () => {
    using temp = tempDir();
    (await openIn(temp.path)).close();
    const ends = runWithFault(temp.path, "-wal", "fsync,fdatasync:error=EIO:when=3", "undo");
    expect(ends).toEqual([
      { name: "put first" },
      failure("make", "EIO", "i/o error", temp.path),
      { isThere: false },
      { name: "make again" },
      { isThere: true },
    ]);
    using database = await openIn(temp.path);
    expect(await names(database)).toEqual(["first", "outside"]);
  });

  // F01
  test("a full disk is told as such wherever SQLite notices it", async () => {
    using temp = tempDir();
    (await openIn(temp.path)).close();
    const full = (step: string): unknown => failure(step, "ENOSPC", "no space left on device", temp.path);
    expect(runWithFault(temp.path, "-shm", "pwrite64:error=ENOSPC:when=1+")[0]).toEqual(full("open"));
    const ends = runWithFault(temp.path, "-wal", "pwrite64:error=ENOSPC:when=1+");
    expect(ends.slice(0, 3)).toEqual([...done.slice(0, 2), full("put")]);
  });
});
