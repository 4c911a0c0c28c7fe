// node layer-store-child.ts BACKEND ROOT
// Does with the layer store in ROOT what it is told on its standard input, and says what came of it, until that ends or it is killed.
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { createDiffer } from "@varve/differ";
import { openLayerStore } from "@varve/layers";
import type { LayerStore } from "@varve/layers";
import { openSharedLocks } from "@varve/locks-sqlite";
import { createLinuxMounter } from "@varve/mount-linux";
import { openSnapshots } from "../faults/snapshot-world.ts";
import { LayerHands } from "./layer-hands.ts";
import { deepest } from "./layer-model.ts";
import type { Told, Word } from "./layer-process.ts";
import { once } from "./layer-store-scene.ts";
import { tinyArchive } from "./tiny-archives.ts";

const [backend = "", root = ""] = process.argv.slice(2);
if (backend !== "overlay" && backend !== "native") throw new Error(`no backend ${backend}`);

const mounter = createLinuxMounter();
const differ = createDiffer({ mounter, concurrency: 1 });

/** Not before the first store is opened: others may be killed until then, and leave something to clean up. */
async function openParts() {
  const snapshotter = await openSnapshots(
    { backend: backend === "native" ? "native" : "overlay", durability: "none" },
    root,
  );
  const locks = await openSharedLocks(join(root, "locks.db"));
  return { snapshotter, locks, applier: differ, comparer: differ, mounter };
}

let parts: ReturnType<typeof openParts> | undefined;

async function openStore(): Promise<LayerStore> {
  parts ??= openParts();
  const opened = await parts;
  return openLayerStore({ root: join(root, "layers"), ...opened, maxDepth: deepest, durability: "none" });
}

/** The threads of the differ take longer to start than a dozen of operations. */
async function warmUp(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "varve-warm-up-"));
  const tree = join(directory, "tree");
  await mkdir(tree);
  const mount = { type: "bind", source: tree, options: ["rw", "rbind"] };
  await differ.applyArchive(() => once(tinyArchive(0).tar), [mount], { records: join(directory, "records") });
  await rm(directory, { recursive: true });
}

function say(word: Word): void {
  process.stdout.write(`${JSON.stringify(word)}\n`);
}

const hands = new LayerHands(openStore);

async function obey({ number, operation, look }: Told): Promise<void> {
  try {
    const answer = operation === undefined ? await hands.look(look) : await hands.perform(operation);
    say({ number, answer });
  } catch (error) {
    say({ number, failure: error instanceof Error ? String(error.stack) : String(error) });
  }
}

await warmUp();
say({ number: 0, answer: "ready" });
for await (const line of createInterface(process.stdin)) {
  const told: Told = JSON.parse(line);
  // Not awaited: two may be under way at once.
  void obey(told);
}
process.exit();
