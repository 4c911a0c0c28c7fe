// A process of its own for faults.test.ts: works on the store in argv[2], whose calls strace lets fail, as argv[3] says, and
// tells on its standard output how each step ended. With argv[4] it has only that many descriptors left at first.
import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { openSnapshotStore } from "@varve/snapshots-store";
import type { SnapshotStore } from "@varve/snapshots-store";

const [, , root = "", task = "", left = ""] = process.argv;

async function step<T>(name: string, call: () => Promise<T>): Promise<T | undefined> {
  try {
    const result = await call();
    process.stdout.write(`${JSON.stringify({ name })}\n`);
    return result;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const code = "code" in error ? error.code : undefined;
    process.stdout.write(`${JSON.stringify({ name, code, message: error.message })}\n`);
    return undefined;
  }
}

/** Takes descriptors until there are only `count`. */
function exhaust(count: number): () => void {
  const taken: number[] = [];
  try {
    for (;;) taken.push(openSync("/dev/null", "r"));
  } catch {
    for (const fd of taken.splice(0, count)) closeSync(fd);
  }
  return () => {
    for (const fd of taken.splice(0)) closeSync(fd);
  };
}

const open = async (): Promise<SnapshotStore> => openSnapshotStore({ root });
const build = async (directory: string): Promise<void> => mkdirSync(join(directory, "fs"));

const tasks: Readonly<Record<string, () => Promise<void>>> = {
  async steps() {
    const restore = left === "" ? undefined : exhaust(Number(left));
    let store = await step("open", open);
    restore?.();
    store ??= await step("open again", open);
    await step("create", async () => store?.create({ kind: "view", key: "view" }));
    await step("remove", async () => store?.remove("view"));
    await store?.close();
  },
  /** Removes and cleans up at the same time. */
  async removal() {
    await using store = await open();
    await Promise.all([step("remove", () => store.remove("name")), step("clean up", () => store.cleanup())]);
  },
  /** Creates several snapshots at the same time. */
  async creations() {
    await using store = await open();
    const keys = Array.from({ length: 8 }, (_, index) => `key-${index}`);
    await Promise.all(keys.map((key) => step("create", () => store.create({ kind: "active", key, build }))));
  },
};

await tasks[task]?.();
