import { spawn } from "node:child_process";
import type { ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { names, openIn, put, raw, tempDir } from "./temp.ts";

interface Child {
  readonly process: ChildProcessByStdio<null, Readable, null>;
  readonly lines: AsyncIterator<string>;
}

const program = fileURLToPath(new URL("child.ts", import.meta.url));

function start(path: string, ...what: readonly string[]): Child {
  const started = spawn(process.execPath, [program, path, ...what], { stdio: ["ignore", "pipe", "inherit"] });
  return { process: started, lines: createInterface(started.stdout)[Symbol.asyncIterator]() };
}

async function kill({ process: child }: Child): Promise<void> {
  const exit = once(child, "exit");
  child.kill("SIGKILL");
  await exit;
}

test("of what several processes write at once nothing is lost", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  await put(database, "number", "0");
  const children = [1, 2, 3].map(() => start(temp.path, "count", "100"));
  const exits = children.map(({ process: child }) => once(child, "exit"));
  const ours = Array.from({ length: 100 }, () =>
    database.write((session) => session.run("UPDATE items SET value = CAST(value AS INTEGER) + 1")),
  );
  await Promise.all(ours);
  expect(await Promise.all(exits)).toEqual([
    [0, null],
    [0, null],
    [0, null],
  ]);
  expect(await database.read((session) => session.get("SELECT value FROM items"))).toEqual({ value: "400" });
});

// K19
test("the lock of a process that is killed in a transaction is free at once, and what it had done there is undone", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  const child = start(temp.path, "hang");
  await child.lines.next();
  const waiting = put(database, "ours");
  expect(await names(database)).toEqual(["kept"]);
  await kill(child);
  await waiting;
  expect(await names(database)).toEqual(["kept", "ours"]);
  // What it did outside is for a cleanup, which can tell it by its missing record.
  expect(existsSync(join(temp.path, "half"))).toBe(true);
});

// P1
test("what a process was told to be written is there after its death, and nothing is there by half", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  for (const round of ["a", "b", "c"]) {
    const child = start(temp.path, "write", round);
    const told: string[] = [];
    for (let count = 0; count < 20; count += 1) told.push(String((await child.lines.next()).value));
    await kill(child);
    const found = new Set(await names(database));
    const lost = told
      .flatMap((index) => [0, 1, 2].map((part) => `${round}-${index}-${part}`))
      .filter((n) => !found.has(n));
    expect(lost).toEqual([]);
  }
  expect(await database.problems()).toEqual([]);
});

test("many open the same new file at once, and all their writes are kept", async () => {
  using temp = tempDir();
  const opened = await Promise.all(Array.from({ length: 5 }, () => openIn(temp.path)));
  await Promise.all(opened.flatMap((database, who) => [0, 1, 2].map((index) => put(database, `${who}-${index}`))));
  for (const database of opened) {
    expect(await names(database)).toHaveLength(15);
    database.close();
  }
});

test("a write waits while another process writes, and a read does not", async () => {
  using temp = tempDir();
  using database = await openIn(temp.path);
  await put(database, "a");
  using other = raw(temp.path);
  other.exec("BEGIN IMMEDIATE");
  const waiting = put(database, "b");
  expect(await names(database)).toEqual(["a"]);
  other.exec("COMMIT");
  expect(await waiting).toBe(1);
});

/** What the kernel has locked of the database and the memory that its users share. */
function locks(path: string): readonly string[] {
  const files = ["", "-shm"].map((suffix) => statSync(`${path}${suffix}`).ino);
  const all = readFileSync("/proc/locks", "utf8").split("\n");
  return all
    .filter((line) => files.some((inode) => line.includes(`:${inode} `)))
    .map((line) => line.replace(/^[0-9]+: /u, ""));
}

// The locks of fcntl(2) belong to the process, and end with the first descriptor of the file that it closes.
test.skipIf(!existsSync("/proc/locks"))(
  "a thread that opens and closes the file does not end the locks that another thread has on it (needs /proc)",
  async () => {
    using temp = tempDir();
    using database = await openIn(temp.path);
    await put(database, "a");
    const before = locks(database.path);
    expect(before).toHaveLength(2);
    const worker = new Worker(new URL("opening-thread.ts", import.meta.url), { workerData: { path: temp.path } });
    expect(await once(worker, "exit")).toEqual([0]);
    expect(locks(database.path)).toEqual(before);
  },
);
