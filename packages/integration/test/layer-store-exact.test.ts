import { mkdirSync, mkdtempSync, realpathSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDiffer } from "@varve/differ";
import type { Layer, LayerStore } from "@varve/layers";
import { createLinuxMounter } from "@varve/mount-linux";
import { hostileLayers, makeCanary } from "@varve-tools/hostile-layers";
import type { HostileLayers } from "@varve-tools/hostile-layers";
import { describe, expect, test } from "vitest";
import { codeOf } from "../src/faults/codes.ts";
import { environment } from "../src/images-under-test.ts";
import { backends, bytesOf, LayerStoreScene, once } from "../src/layer-store/layer-store-scene.ts";
import type { Backend } from "../src/layer-store/layer-store-scene.ts";
import { layerBlobs } from "../src/layers/layer-blobs.ts";
import { thorough } from "../src/rounds.ts";

const { corpus, missing } = environment;

/** The layers of one are also those of the other, and native copies a whole tree for each: with it the one of one layer is enough. */
function imagesFor(backend: Backend): readonly ("app" | "debian")[] {
  if (thorough) return ["debian", "app"];
  return backend === "overlay" ? ["app"] : ["debian"];
}

/** All of them when thorough; else the backends take turns, so that each vector is tried with one. */
function vectorsFor(backend: Backend, canary: string): readonly HostileLayers[] {
  return hostileLayers(canary).filter((_, index) => thorough || backends[index % backends.length] === backend);
}

// Issue 8, line 3; S1.60, S1.61, S1.73, S1.90 to S1.95, G-61, G-64, C-LS.4
describe.skipIf(missing !== undefined).each(backends)(
  `the tar of a layer over %s (privileged${missing === undefined ? "" : `: ${missing}`})`,
  (backend) => {
    test.each(imagesFor(backend))("each layer of the image %s comes back bit for bit", async (image) => {
      await using scene = await LayerStoreScene.open(backend);
      const store = await scene.store();
      const layers: Layer[] = [];
      const archives = await layerBlobs(corpus[image]);
      for (const archive of archives) {
        layers.push(await store.register(() => once(archive), { parent: layers.at(-1)?.chainId }));
      }
      // Only now: what is on top of a layer must not show in its tar.
      for (const [index, layer] of layers.entries()) {
        expect((await bytesOf(layer.tarStream())).equals(archives[index] ?? Buffer.alloc(0)), `${index}`).toBe(true);
      }
      expect(layers.length).toBeGreaterThan(0);
    });

    test("each hostile or odd layer that is accepted comes back bit for bit, and the others leave nothing", async () => {
      const directory = realpathSync(mkdtempSync(join(tmpdir(), "varve-exact-")));
      mkdirSync(join(directory, "stores"));
      const canary = makeCanary(directory, join(directory, "stores"));
      try {
        await using scene = await LayerStoreScene.open(backend);
        const store = await scene.store();
        const problems: string[] = [];
        for (const vector of vectorsFor(backend, canary.path)) {
          const found = await (vector.limits === undefined ? problemsOf(store, vector) : problemsWithin(scene, vector));
          problems.push(...[...found, ...canary.changes()].map((line) => `${vector.name}: ${line}`));
        }
        expect(problems).toEqual([]);
        expect(await scene.snapshots()).toEqual({ committed: [], others: 0 });
        expect(await scene.files()).toEqual({ records: [], scratch: [] });
      } finally {
        await rm(directory, { recursive: true, force: true });
      }
    });
  },
);

/** In a store of its own that heeds the limits of the vector. */
async function problemsWithin(scene: LayerStoreScene, vector: HostileLayers): Promise<string[]> {
  await using applier = createDiffer({ mounter: createLinuxMounter(), limits: vector.limits });
  await using store = await scene.store({ applier });
  return await problemsOf(store, vector);
}

/** Registers the layers of a vector, reads what was accepted, and releases all of it. */
async function problemsOf(store: LayerStore, { expect: wanted, layers }: HostileLayers): Promise<string[]> {
  const problems: string[] = [];
  const made: Layer[] = [];
  const refused = await registerAll();
  const asked = "tree" in wanted ? ["none"] : refusalsOf(wanted.refused, wanted.layer ?? layers.length - 1);
  if (!asked.includes(refused)) problems.push(`refused: ${refused}, instead of ${asked.join(" or ")}`);
  for (const [index, layer] of made.entries()) {
    const tar = layers[index]?.bytes ?? Buffer.alloc(0);
    const read = await bytesOf(layer.tarStream()).catch(String);
    if (typeof read === "string" || !read.equals(tar)) {
      problems.push(`layer ${index}: ${typeof read === "string" ? read : "another tar"}`);
    }
  }
  for (const layer of made.toReversed()) await layer.release();
  return problems;

  async function registerAll(): Promise<string> {
    for (const [index, { bytes }] of layers.entries()) {
      try {
        made.push(await store.register(once(bytes), { parent: made.at(-1)?.chainId }));
      } catch (error) {
        return `${index} by ${String(codeOf(error) ?? error)}`;
      }
    }
    return "none";
  }
}

/** Where a layer is cut off, too, that may be seen first: who records it is faster than who unpacks it. */
function refusalsOf(code: string, layer: number): string[] {
  return [`${layer} by ${code}`, `${layer} by ERR_INVALID_DATA`];
}
