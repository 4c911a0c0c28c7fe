import { none } from "./graph.ts";
import type { Node } from "./graph.ts";
import type { Inventory } from "./inventory.ts";
import type { GraphLoader, SnapshotRecord } from "./load-graph.ts";
import type { Marks } from "./mark.ts";
import { orphanSnapshots } from "./orphan-snapshots.ts";
import { itemBelow, reasonOf } from "./plan.ts";
import type { BackendRemoval, Plan, Removal, SnapshotRemoval } from "./plan.ts";
import type { Item } from "../item.ts";

// How many things are looked at between two chances to pause.
const stride = 10_000;

/** Decides from a graph that was loaded and marked what goes, and why. The caller may pause whenever it yields. */
export function planOf(loader: GraphLoader, marks: Marks, inventory: Inventory): Generator<void, Plan, undefined> {
  return new Planner(loader, marks, inventory).plan();
}

class Planner {
  readonly #loader: GraphLoader;
  readonly #marks: Marks;
  readonly #inventory: Inventory;
  readonly #removals: Removal[] = [];
  readonly #byNode: Map<Node, Removal> = new Map();
  readonly #lost: ReadonlySet<Node>;
  readonly #records: Node[] = [];
  readonly #resources: { type: string; removal: Removal }[] = [];
  readonly #keptBlobs: Set<string> = new Set();
  /** Of a digest that several namespaces lose, the one that its bytes are counted for. */
  readonly #goneBlobs: Map<string, Removal> = new Map();
  #kept = 0;

  constructor(loader: GraphLoader, marks: Marks, inventory: Inventory) {
    this.#loader = loader;
    this.#marks = marks;
    this.#inventory = inventory;
    this.#lost = this.#findLost();
  }

  *plan(): Generator<void, Plan, undefined> {
    yield* this.#sort();
    const blobs = yield* this.#blobs();
    yield;
    const ingests = this.#ingests();
    const snapshots = this.#snapshots();
    const { graph } = this.#loader;
    return {
      graph,
      marks: this.#marks,
      loader: this.#loader,
      removals: this.#removals,
      records: this.#records,
      blobs,
      ingests,
      snapshots,
      resources: this.#resources,
      kept: this.#kept,
    };
  }

  *#sort(): Generator<void, void, undefined> {
    const { graph } = this.#loader;
    const types = new Set(this.#inventory.resources.map(({ resource }) => resource.type));
    for (let node = 0; node < graph.size; node += 1) {
      if (node % stride === stride - 1) yield;
      if (!graph.exists(node)) continue;
      const type = graph.type(node);
      const id = graph.id(node);
      if (this.#stays(node)) {
        this.#kept += 1;
        if (type === "content") this.#keptBlobs.add(id);
        continue;
      }
      const removal = this.#recordRemoval(node, !types.has(type));
      if (type === "content" && !this.#goneBlobs.has(id)) this.#goneBlobs.set(id, removal);
      if (types.has(type)) this.#resources.push({ type, removal });
      else this.#records.push(node);
    }
  }

  /** Records without a snapshot, but for those that the record of one that stays stands on. */
  #findLost(): ReadonlySet<Node> {
    const { snapshots } = this.#loader;
    const lost = new Set(snapshots.filter((record) => record.lost).map(({ seq }) => seq));
    if (lost.size === 0) return new Set();
    const bySeq = new Map(snapshots.map((record) => [record.seq, record]));
    for (const record of snapshots) {
      if (lost.has(record.seq) || !this.#marks.isKept(record.node)) continue;
      for (let at = record.parent; at !== undefined && lost.delete(at);) at = bySeq.get(at)?.parent;
    }
    return new Set(snapshots.filter(({ seq }) => lost.has(seq)).map(({ node }) => node));
  }

  #stays(node: Node): boolean {
    return this.#marks.isKept(node) && !this.#lost.has(node);
  }

  *#blobs(): Generator<void, readonly BackendRemoval[], undefined> {
    const blobs: BackendRemoval[] = [];
    if (this.#loader.adopting) return blobs;
    for (const { node, expected } of this.#loader.ingests) {
      // It may be below already, and its record have yet to be made by the commit under way.
      if (expected !== undefined && this.#stays(node)) this.#keptBlobs.add(expected);
    }
    let count = 0;
    for (const [digest, size] of this.#inventory.blobs) {
      count += 1;
      if (count % stride === 0) yield;
      if (this.#keptBlobs.has(digest)) continue;
      const removal = this.#goneBlobs.get(digest) ?? this.#orphan({ namespace: "", type: "content", id: digest });
      removal.bytes = size;
      blobs.push({ id: digest, removal });
    }
    return blobs;
  }

  #ingests(): readonly BackendRemoval[] {
    const records = new Map(this.#loader.ingests.map((record) => [record.below, record.node]));
    const ingests: BackendRemoval[] = [];
    for (const [ref, { offset }] of this.#inventory.ingests) {
      const node = records.get(ref);
      if (node !== undefined && this.#stays(node)) continue;
      const removal = this.#removalOf(node) ?? this.#orphan(itemBelow("ingest", ref));
      removal.bytes = offset;
      ingests.push({ id: ref, removal });
    }
    return ingests;
  }

  #snapshots(): ReadonlyMap<string, readonly SnapshotRemoval[]> {
    const staying = new Map<string, SnapshotRecord[]>();
    const going = new Map<string, SnapshotRecord[]>();
    for (const record of this.#loader.snapshots) {
      const map = this.#stays(record.node) ? staying : going;
      const list = map.get(record.snapshotter);
      if (list === undefined) map.set(record.snapshotter, [record]);
      else list.push(record);
    }
    const keys = new Map(this.#loader.snapshots.map(({ seq, key }) => [seq, key]));
    const snapshots = new Map<string, readonly SnapshotRemoval[]>();
    for (const [snapshotter, { infos }] of this.#inventory.snapshots) {
      const gone = (going.get(snapshotter) ?? []).map(({ key, parent, node }) => ({
        name: key,
        parent: parent === undefined ? undefined : keys.get(parent),
        node,
      }));
      const orphans = orphanSnapshots({
        infos,
        staying: staying.get(snapshotter) ?? [],
        gone,
        isAlive: this.#inventory.isAlive,
      });
      snapshots.set(
        snapshotter,
        orphans.map(({ name, parent, node }) => ({
          id: name,
          parent,
          removal: this.#removalOf(node) ?? this.#orphan(itemBelow("snapshot", name, snapshotter)),
        })),
      );
    }
    return snapshots;
  }

  #recordRemoval(node: Node, hasRecord: boolean): Removal {
    const { graph } = this.#loader;
    const reason = this.#marks.isKept(node) ? "it was never made" : reasonOf(graph, this.#marks, node);
    const removal: Removal = { item: graph.item(node), reason, hasRecord, bytes: 0 };
    this.#removals.push(removal);
    this.#byNode.set(node, removal);
    return removal;
  }

  #removalOf(node: Node | undefined): Removal | undefined {
    return this.#byNode.get(node ?? none);
  }

  #orphan(item: Item): Removal {
    const removal: Removal = { item, reason: "it has no record", hasRecord: false, bytes: 0 };
    this.#removals.push(removal);
    return removal;
  }
}
