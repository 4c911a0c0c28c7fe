import type { GoneRecords } from "./gone-records.ts";
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
const stride = 2000;

interface Material {
  readonly loader: GraphLoader;
  readonly marks: Marks;
  readonly inventory: Inventory;
  /** What was removed already. */
  readonly gone: GoneRecords;
}

/** Decides from a graph that was loaded and marked what goes, and why. The caller may pause whenever it yields. */
export function planOf(material: Material): Generator<void, Plan, undefined> {
  return new Planner(material).plan();
}

class Planner {
  readonly #loader: GraphLoader;
  readonly #marks: Marks;
  readonly #inventory: Inventory;
  readonly #gone: GoneRecords;
  readonly #removals: Removal[] = [];
  readonly #byNode: (Removal | undefined)[] = [];
  readonly #lost: ReadonlySet<Node>;
  readonly #records: Node[] = [];
  readonly #resources: { type: string; removal: Removal }[] = [];
  #kept = 0;

  constructor({ loader, marks, inventory, gone }: Material) {
    this.#loader = loader;
    this.#marks = marks;
    this.#inventory = inventory;
    this.#gone = gone;
    for (const removal of gone.removals) {
      removal.bytes = 0;
      this.#removals.push(removal);
    }
    this.#lost = this.#findLost();
    // Not one by one: an array with gaps is a table.
    for (let node = 0; node < loader.graph.size; node += 1) this.#byNode.push(undefined);
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
      records: this.#records,
      removalOf: (node) => this.#byNode[node],
      sweep: { removals: this.#removals, blobs, ingests, snapshots, resources: this.#resources, kept: this.#kept },
    };
  }

  *#sort(): Generator<void, void, undefined> {
    const { graph } = this.#loader;
    const types = new Set(this.#inventory.resources.map(({ resource }) => resource.type));
    for (let node = 0; node < graph.size; node += 1) {
      if (node % stride === stride - 1) yield;
      if (!graph.exists(node)) continue;
      if (this.#stays(node)) {
        this.#kept += 1;
        continue;
      }
      const type = graph.type(node);
      const removal = this.#recordRemoval(node, !types.has(type));
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
    const expected = this.#expected();
    let count = 0;
    for (const [digest, size] of this.#inventory.blobs) {
      count += 1;
      if (count % stride === 0) yield;
      const nodes = this.#loader.graph.everywhere("content", digest);
      if (expected.has(digest) || nodes.some((node) => this.#stays(node))) continue;
      const removal = this.#removalOfBlob(digest, nodes);
      removal.bytes = size;
      blobs.push({ id: digest, removal });
    }
    return blobs;
  }

  /** What may be below already, while its record has yet to be made by the commit under way. */
  #expected(): ReadonlySet<string> {
    const digests = new Set<string>();
    for (const { node, expected } of this.#loader.ingests) {
      if (expected !== undefined && this.#stays(node)) digests.add(expected);
    }
    return digests;
  }

  /** Of a digest that several namespaces lose, the bytes are counted for the first. */
  #removalOfBlob(digest: string, nodes: readonly Node[]): Removal {
    const [first] = nodes.toSorted((one, other) => one - other);
    const known = this.#removalOf(first) ?? this.#gone.find("content", digest);
    return known ?? this.#orphan({ namespace: "", type: "content", id: digest });
  }

  #ingests(): readonly BackendRemoval[] {
    const records = new Map(this.#loader.ingests.map((record) => [record.below, record.node]));
    const ingests: BackendRemoval[] = [];
    for (const [ref, { offset }] of this.#inventory.ingests) {
      const node = records.get(ref);
      if (node !== undefined && this.#stays(node)) continue;
      const removal = this.#removalOf(node) ?? this.#gone.find("ingest", ref) ?? this.#orphan(itemBelow("ingest", ref));
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
          removal:
            this.#removalOf(node) ??
            this.#gone.find("snapshot", name, snapshotter) ??
            this.#orphan(itemBelow("snapshot", name, snapshotter)),
        })),
      );
    }
    return snapshots;
  }

  #recordRemoval(node: Node, hasRecord: boolean): Removal {
    const { graph } = this.#loader;
    const reason = this.#marks.isKept(node) ? "it was never made" : reasonOf(graph, this.#marks, node);
    const removal: Removal = { item: graph.item(node), reason, hasRecord, bytes: 0, error: undefined, spared: false };
    this.#removals.push(removal);
    this.#byNode[node] = removal;
    return removal;
  }

  #removalOf(node: Node | undefined): Removal | undefined {
    return this.#byNode[node ?? none];
  }

  #orphan(item: Item): Removal {
    const removal: Removal = {
      item,
      reason: "it has no record",
      hasRecord: false,
      bytes: 0,
      error: undefined,
      spared: false,
    };
    this.#removals.push(removal);
    return removal;
  }
}
