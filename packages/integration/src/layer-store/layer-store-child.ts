// node layer-store-child.ts BACKEND ROOT SEED
// Does random things with a layer store until it is killed. It says what it is about to do, and what came of it.
import { writeSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDiffer } from "@varve/differ";
import { openLayerStore } from "@varve/layers";
import type { LayerStore } from "@varve/layers";
import { createLinuxMounter } from "@varve/mount-linux";
import { openSnapshots } from "../faults/snapshot-world.ts";
import { randomFrom } from "../faults/random.ts";
import { LayerHands } from "./layer-hands.ts";
import { deepest, LayerModel } from "./layer-model.ts";
import { randomOperation } from "./layer-operation.ts";
import type { Operation } from "./layer-operation.ts";
import { once } from "./layer-store-scene.ts";
import { tinyArchive } from "./tiny-archives.ts";

const [backend = "", root = "", seed = ""] = process.argv.slice(2);
if (backend !== "overlay" && backend !== "native") throw new Error(`no backend ${backend}`);

// In one system call each: what is said was so when somebody kills us after it.
function say(word: string, value: unknown): void {
  writeSync(1, `${JSON.stringify({ [word]: value })}\n`);
}

const random = randomFrom(Number(seed));
const mounter = createLinuxMounter();
const applier = createDiffer({ mounter, concurrency: 1 });
const snapshotter = await openSnapshots({ backend, durability: "none" }, root);
const openStore = (): Promise<LayerStore> =>
  openLayerStore({ root: join(root, "layers"), snapshotter, applier, mounter, maxDepth: deepest, durability: "none" });
const hands = new LayerHands(openStore);

async function perform(operation: Operation): Promise<void> {
  say("begun", operation);
  say("answer", await hands.perform(operation));
}

/** The threads of the applier take longer to start than a dozen of operations. */
async function warmUp(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "varve-warm-up-"));
  const tree = join(directory, "tree");
  await mkdir(tree);
  const mount = { type: "bind", source: tree, options: ["rw", "rbind"] };
  await applier.applyArchive(() => once(tinyArchive(0).tar), [mount], { records: join(directory, "records") });
  await rm(directory, { recursive: true });
}

await warmUp();
say("ready", process.pid);
await perform({ kind: "open", store: 0 });
const model = new LayerModel(await hands.list(0));
model.perform({ kind: "open", store: 0 });
for (let id = 1; ; id += 1) {
  const operation = randomOperation(random, id, model.choices([0]));
  if (operation.kind === "open" && model.isOpen(0)) continue;
  await perform(operation);
  model.perform(operation);
}
