// A process of its own for faults.test.ts: works on the store in argv[2], whose calls strace lets fail, and tells on its
// standard output how each step ended. With argv[3] it has only that many descriptors left at first.
import { closeSync, openSync } from "node:fs";
import { openSnapshotStore } from "@varve/snapshots-store";
import type { SnapshotStore } from "@varve/snapshots-store";

const [, , root = "", left = ""] = process.argv;

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
const restore = left === "" ? undefined : exhaust(Number(left));
let store = await step("open", open);
restore?.();
store ??= await step("open again", open);
await step("create", async () => store?.create({ kind: "view", key: "view" }));
await step("remove", async () => store?.remove("view"));
await store?.close();
