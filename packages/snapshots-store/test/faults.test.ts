import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { openSnapshotStore } from "@varve/snapshots-store";
import { describe, expect, test } from "vitest";
import { tempRoot } from "./temp-root.ts";

const child = [process.execPath, join(import.meta.dirname, "fault-child.ts")] as const;
const mayTrace = spawnSync("strace", ["-qq", "-o", "/dev/null", "true"]).status === 0;

/** How each step of the child ended, under `command`. */
function run(command: string, args: readonly string[]): unknown[] {
  const { stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  const lines = stdout.split("\n").filter((line) => line !== "");
  if (lines.length === 0) throw new Error(stderr);
  return lines.map((line): unknown => JSON.parse(line));
}

/** The same, while calls that touch one of the database's files fail. */
function runWithFault(root: string, file: string, fault: string, task: string): unknown[] {
  const [calls = ""] = fault.split(":");
  const traced = [
    "-f",
    "-qq",
    "-o",
    "/dev/null",
    "-P",
    join(root, file),
    "-e",
    `trace=${calls}`,
    "-e",
    `inject=${fault}`,
  ];
  return run("strace", [...traced, ...child, root, task]);
}

function failure(step: string, code: string, reason: string, root: string): unknown {
  const subject = `snapshot store ${join(root, "metadata.db")}: `;
  return { name: step, code, message: expect.stringMatching(`^${subject}.*${reason}`) as unknown };
}

async function build(directory: string): Promise<void> {
  mkdirSync(join(directory, "fs"));
  writeFileSync(join(directory, "fs/file"), "some text");
}

/** Makes a store with an active snapshot; returns a file of it. */
async function withSnapshot(root: string, key: string): Promise<string> {
  await using store = await openSnapshotStore({ root });
  const { id } = await store.create({ kind: "active", key, build });
  return join(store.directory(id), "fs/file");
}

// F04
test("a store that is opened with too few descriptors says so, and is opened when there are enough", async () => {
  using root = tempRoot();
  await (await openSnapshotStore({ root: root.path })).close();
  const ends: unknown[][] = [];
  for (const left of [0, 1, 2, 3, 8]) {
    const limited = ["-c", 'ulimit -n 64; exec "$@"', "sh", ...child, root.path, "steps", String(left)];
    ends.push(run("sh", limited));
  }
  const [none, ...more] = ends;
  expect(none).toEqual([
    failure("open", "EMFILE", "too many open files", root.path),
    { name: "open again" },
    { name: "create" },
    { name: "remove" },
  ]);
  for (const end of more) expect(end.slice(-2)).toEqual([{ name: "create" }, { name: "remove" }]);
  expect(ends.at(-1)).toHaveLength(3);
});

describe.skipIf(!mayTrace)("with calls that fail (needs strace)", () => {
  const done = [{ name: "open" }, { name: "create" }, { name: "remove" }];

  // F04, C01: without a lock two processes would sweep and write at once
  test("a database that SQLite could only open for reading lets nobody work without the lock", async () => {
    using root = tempRoot();
    await (await openSnapshotStore({ root: root.path })).close();
    const path = join(root.path, "metadata.db");
    // Somebody who has just given a new snapshot its directory, and is about to commit the record of it.
    using other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    mkdirSync(join(root.path, "1/fs"), { recursive: true });
    other.exec("INSERT INTO snapshots (name, kind, created, updated) VALUES ('theirs', 'active', 0, 0)");
    const log = join(root.path, "log");
    const args = ["-f", "-qq", "-o", log, "-P", path, "-e", "trace=openat", "-e", "inject=openat:error=EMFILE:when=1"];
    const process = spawn("strace", [...args, ...child, root.path, "steps"]);
    const output: string[] = [];
    process.stdout.on("data", (text: Buffer) => output.push(text.toString()));
    const end = once(process, "close");
    // For writing, for reading, and for writing again once it has noticed.
    const opened = (): number => (existsSync(log) ? readFileSync(log, "utf8").split("metadata.db").length - 1 : 0);
    while (output.length === 0 && opened() < 3) await sleep(5);
    other.exec("COMMIT");
    await end;
    const ends = output.join("").split("\n").slice(0, -1);
    expect(ends.map((line): unknown => JSON.parse(line))).toEqual(done);
    expect(existsSync(join(root.path, "1"))).toBe(true);
  });

  // F06, K15: what a cleanup takes for removed must not come back
  test("a snapshot whose removal the disk did not take keeps its files, also if others clean up at that moment", async () => {
    using root = tempRoot();
    const file = await withSnapshot(root.path, "name");
    const ends = runWithFault(root.path, "metadata.db-wal", "fsync,fdatasync:error=EIO:when=1", "removal");
    expect(ends).toEqual([failure("remove", "EIO", "i/o error", root.path), { name: "clean up" }]);
    await using store = await openSnapshotStore({ root: root.path });
    await store.cleanup();
    expect((await store.stat("name")).kind).toBe("active");
    expect(existsSync(file)).toBe(true);
  });

  test("several that are created at once, and that the disk did not take, leave nothing", async () => {
    using root = tempRoot();
    await withSnapshot(root.path, "name");
    const ends = runWithFault(root.path, "metadata.db-wal", "fsync,fdatasync:error=EIO:when=1", "creations");
    expect(ends).toEqual(Array.from({ length: 8 }, () => failure("create", "EIO", "i/o error", root.path)));
    expect(readdirSync(root.path).filter((name) => !name.startsWith("metadata.db"))).toEqual(["1"]);
  });
});
