import { withTemporaryMount } from "@varve/mount";
import { canRebase } from "@varve/snapshots";
import type { Snapshotter } from "@varve/snapshots";
import { compareTrees, differences, problemsWith, readTree } from "@varve-tools/hostile-layers";
import type { HostileLayers, Layer, Tree } from "@varve-tools/hostile-layers";
import type { Workshop } from "./workshop.ts";
import { xattrsOf } from "./xattrs-of.ts";

/** How layers get into snapshots: `alone` writes each before it has a parent, as a parallel unpack does. */
export type Way = "native" | "overlay" | "overlay alone";

/** What came of a vector: the tree, if all layers were applied, and a line for everything that is not as it must be. */
export interface Outcome {
  readonly tree: Tree | undefined;
  readonly problems: readonly string[];
}

/** Unpacks the layers of a vector as an image is unpacked, and removes them again. */
export async function unpackVector(workshop: Workshop, way: Way, vector: HostileLayers): Promise<Outcome> {
  const run = new VectorRun(workshop, way, vector);
  const problems: string[] = [];
  let tree: Tree | undefined;
  try {
    const thrown = await run.unpack(problems);
    if (thrown === undefined) tree = await run.look();
    problems.push(...judge(vector, tree, thrown));
  } finally {
    await run.remove();
  }
  problems.push(...workshop.canary.changes().map((line) => `canary: ${line}`));
  return { tree, problems: problems.map((line) => `${way}: ${line}`) };
}

/** What went wrong with a layer. */
interface Thrown {
  readonly error: unknown;
  readonly index: number;
  readonly layer: Layer;
  readonly digest: string;
}

function judge({ expect, layers }: HostileLayers, tree: Tree | undefined, thrown: Thrown | undefined): string[] {
  if ("tree" in expect) {
    return tree === undefined ? [`refused: ${String(thrown?.error).slice(0, 400)}`] : differences(tree, expect);
  }
  if (thrown === undefined) return ["not refused"];
  const { error, index, layer, digest } = thrown;
  const wanted = expect.layer ?? layers.length - 1;
  const lines = index === wanted ? [] : [`layer ${index} was refused instead of ${wanted}`];
  const names = error instanceof Error && error.message.startsWith(`layer ${digest}: `);
  return [
    ...lines,
    ...(names ? [] : [`the layer is not named: ${String(error)}`]),
    ...problemsWith(error, expect, layer),
  ];
}

class VectorRun {
  readonly #workshop: Workshop;
  readonly #way: Way;
  readonly #vector: HostileLayers;
  readonly #snapshots: Snapshotter;
  /** Committed ones, the lowest first. */
  readonly #done: string[] = [];

  constructor(workshop: Workshop, way: Way, vector: HostileLayers) {
    this.#workshop = workshop;
    this.#way = way;
    this.#vector = vector;
    this.#snapshots = way === "native" ? workshop.native : workshop.overlay;
  }

  /** The first failure. The layers below it must be as they were, and what was half made must go. */
  async unpack(problems: string[]): Promise<Thrown | undefined> {
    for (const [index, layer] of this.#vector.layers.entries()) {
      const name = `${this.#vector.name} ${index}`;
      const before = this.#done.length === 0 ? undefined : await this.look();
      const { digest } = await this.#workshop.store(layer);
      let thrown: Thrown | undefined;
      try {
        await this.#apply(layer, `${name} active`);
        await this.#snapshots.commit(name, `${name} active`);
      } catch (error) {
        thrown = { error, index, layer, digest };
        await this.#snapshots.remove(`${name} active`);
      }
      if (before !== undefined) {
        problems.push(...compareTrees(await this.look(), before).map((line) => `parent: ${line}`));
      }
      if (thrown !== undefined) return thrown;
      this.#done.push(name);
    }
    return undefined;
  }

  /** The tree of all layers so far. */
  async look(): Promise<Tree> {
    const mounts = await this.#snapshots.view("look", this.#done.at(-1));
    try {
      return await withTemporaryMount(this.#workshop.mounter, mounts, async (root) => readTree(root, xattrsOf));
    } finally {
      await this.#snapshots.remove("look");
    }
  }

  async remove(): Promise<void> {
    for (const name of this.#done.toReversed()) await this.#snapshots.remove(name);
  }

  async #apply(layer: Layer, key: string): Promise<void> {
    const blob = await this.#workshop.store(layer);
    const differ = this.#workshop.differ(this.#vector.limits);
    const parent = this.#done.at(-1);
    // The bottom layer has no parent to wait for.
    if (this.#way !== "overlay alone" || parent === undefined) {
      await differ.apply(blob, await this.#snapshots.prepare(key, parent));
      return;
    }
    if (!canRebase(this.#snapshots)) throw new Error("overlay cannot rebase");
    const staged = await differ.stage(blob, await this.#snapshots.prepare(key, undefined));
    await staged.settle(await this.#snapshots.rebase(key, parent));
  }
}
