import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isSupported } from "@varve/syscalls";
import { expect, test } from "vitest";
import { open } from "./backend.ts";
import { tempRoot } from "./temp-root.ts";

function canaryIn(base: string): string {
  const canary = join(base, "canary");
  for (const name of ["fs", "work", "fs/directory", "directory", "empty", "fs/empty"]) {
    mkdirSync(join(canary, name), { recursive: true });
  }
  for (const name of ["file", "fs/file", "fs/directory/file", "directory/file"])
    writeFileSync(join(canary, name), name);
  return canary;
}

function listing(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" }).toSorted();
}

// K20, K21: whoever works in a container as root, and can get at the directories
test.skipIf(!isSupported())(
  "a directory that is swapped for a link while it is removed takes nothing else with it",
  async () => {
    using base = tempRoot();
    const root = join(base.path, "root");
    await using opened = await open(root, { durability: "none" });
    const { snapshotter, store } = opened;
    const canary = canaryIn(base.path);
    const before = listing(canary);
    mkdirSync(join(base.path, "aside"));
    const child = fork(join(import.meta.dirname, "swapper.ts"), [root, canary, join(base.path, "aside")], {
      execArgv: [],
    });
    await using _ = { [Symbol.asyncDispose]: async () => void child.kill("SIGKILL") };
    await once(child, "message");
    let swaps = 0;
    child.on("message", (count: number) => (swaps = count));
    for (let round = 0; round < 100; round += 1) {
      const { id } = await store.create({ kind: "active", key: "key", build });
      if (round % 2 === 0) await snapshotter.remove("key");
      else {
        await snapshotter.remove("key");
        // What was swapped at the wrong moment may be in the way this time.
        await snapshotter.cleanup().catch(() => undefined);
      }
      expect(id).toBeGreaterThan(round);
    }
    child.send("stop");
    await once(child, "close");
    expect(swaps).toBeGreaterThan(100);
    expect(listing(canary)).toEqual(before);
    for (const name of ["file", "fs/file", "fs/directory/file", "directory/file"]) {
      expect(readFileSync(join(canary, name), "utf8")).toBe(name);
    }
    await snapshotter.cleanup();
    expect(readdirSync(root).filter((name) => !name.startsWith("metadata.db"))).toEqual([]);
  },
);

async function build(directory: string): Promise<void> {
  for (const name of ["fs/directory", "fs/empty", "work"]) mkdirSync(join(directory, name), { recursive: true });
  for (const name of ["file", "directory/file"]) writeFileSync(join(directory, "fs", name), "");
}
