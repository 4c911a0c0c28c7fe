// A process that works on a store until it is done or something happens to it: `child.ts SCENARIO ROOT TASK [HISTORY]`.
import { readSync, writeSync } from "node:fs";
import { readlink } from "node:fs/promises";
import type { Scenario } from "./scenario.ts";
import type { SnapshotterUnderTest } from "./snapshot-world.ts";

// Imported by need: a scenario that is broken must not break the others.
const scenarios: Readonly<Record<string, () => Promise<Scenario>>> = {
  content: async () => (await import("./content-scenario.ts")).contentScenario,
  metadata: async () => (await import("./metadata-scenario.ts")).metadataScenario,
  mounts: async () => (await import("./mount-scenario.ts")).mountScenario,
  overlay: () => snapshots({ backend: "overlay" }),
  native: () => snapshots({ backend: "native" }),
  "overlay without durability": () => snapshots({ backend: "overlay", durability: "none" }),
  "native without durability": () => snapshots({ backend: "native", durability: "none" }),
};

async function snapshots(kind: SnapshotterUnderTest): Promise<Scenario> {
  return (await import("./snapshot-scenario.ts")).snapshotScenario(kind);
}

const [name = "", root = "", task = "", history = ""] = process.argv.slice(2);
const scenario = await scenarios[name]?.();
if (scenario === undefined) throw new Error(`no scenario ${name}`);

// In one system call each: the next thing that is done to the store comes after it.
function say(word: string, value: unknown): void {
  writeSync(1, `${word} ${JSON.stringify(value)}\n`);
}

/** Tells which threads will do the work, and waits until somebody looks at them. */
async function wait(): Promise<void> {
  // With UV_THREADPOOL_SIZE=1 there is one thread beside the main one that calls the file system.
  const thread = Number((await readlink("/proc/thread-self")).split("/").at(-1));
  say("ready", thread);
  readSync(0, Buffer.alloc(16));
}

function pause(): void {
  say("paused", "");
  readSync(0, Buffer.alloc(16));
}

if (task === "seed") {
  await scenario.seed(root);
} else if (task === "finish") {
  say("problems", await scenario.finish(root, JSON.parse(history)));
} else {
  await wait();
  let last = "";
  try {
    await scenario.work(root, (step) => {
      say("did", (last = step));
      if (step === process.env["VARVE_PAUSE"]) pause();
    });
    say("done", "");
  } catch (error) {
    say("failed", { after: last, ...describe(error) });
    process.exitCode = 1;
  }
}

function describe(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  const { code, errno } = error as NodeJS.ErrnoException;
  return { name: error.name, code, errno, message: error.message, stack: error.stack };
}
