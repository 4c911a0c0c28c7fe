// node child.ts FILE TASK DETAIL…: a process of its own that uses the locks in a file.
import { closeSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { currentOwner, isOwnerAlive } from "@varve/locks";
import type { Release } from "@varve/locks";
import { openSharedLocks } from "@varve/locks-sqlite";

const [file = "", what = "", ...details] = process.argv.slice(2);

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

function poked(): Promise<void> {
  return new Promise((resolve) => process.stdin.once("data", () => resolve()));
}

/** Nobody else may be in there. What a killed process has left counts for nothing. */
function enter(marker: string): void {
  try {
    const descriptor = openSync(marker, "wx");
    writeSync(descriptor, currentOwner());
    closeSync(descriptor);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    const other = readFileSync(marker, "utf8");
    if (isOwnerAlive(other)) throw new Error(`${other} is in there`, { cause: error });
    rmSync(marker);
    enter(marker);
  }
}

const tasks: Readonly<Record<string, () => Promise<void>>> = {
  /** Holds keys until it is poked, and then gives them back. */
  async hold() {
    const [stallMs = "30000", ...keys] = details;
    await using locks = await openSharedLocks(file, { stallMs: Number(stallMs) });
    const releases: Release[] = [];
    for (const key of keys) {
      releases.push(await locks.acquire(key));
      // So that each has its first sign of life at a time of its own.
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    say("held");
    await poked();
    for (const release of releases) release();
    say("released");
    await poked();
    process.stdin.destroy();
  },
  /** Comes in and goes out again, for ever or so many times. */
  async rounds() {
    const [marker = "", count = ""] = details;
    await using locks = await openSharedLocks(file);
    say("open");
    for (let round = 0; round < Number(count); round += 1) {
      await locks.run("key", async () => {
        enter(marker);
        await new Promise(setImmediate);
        rmSync(marker);
      });
    }
    process.stdin.destroy();
  },
  /** Opens when poked, and holds a key of its own. */
  async open() {
    const [key = ""] = details;
    say("ready");
    await poked();
    await using locks = await openSharedLocks(file);
    await locks.acquire(key);
    say("held");
    await poked();
    process.stdin.destroy();
  },
};

await tasks[what]?.();
