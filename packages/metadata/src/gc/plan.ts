import type { Graph, Node } from "./graph.ts";
import type { GraphLoader } from "./load-graph.ts";
import type { Marks } from "./mark.ts";
import type { Item } from "../item.ts";

/** One thing that goes. What comes of it is written here. */
export interface Removal {
  readonly item: Item;
  readonly reason: string;
  /** It has a record, which goes whatever happens to what is below. */
  readonly hasRecord: boolean;
  bytes: number;
  /** Why it is still there. */
  error: unknown;
  /** Somebody has made a record of it, or removes it already. */
  spared: boolean;
  /** It was gone when its turn came: committed under another name, or removed by somebody else. */
  vanished?: boolean;
}

/** Something to remove from a store below. */
export interface BackendRemoval {
  /** A digest, the ref of an ingest or the name of a snapshot, as the store below knows it. */
  readonly id: string;
  readonly removal: Removal;
}

export interface SnapshotRemoval extends BackendRemoval {
  readonly parent: string | undefined;
}

/** What is to be removed below, and everything that is to be told. */
export interface Sweep {
  readonly removals: readonly Removal[];
  readonly blobs: readonly BackendRemoval[];
  readonly ingests: readonly BackendRemoval[];
  /** By snapshotter, children before their parents. */
  readonly snapshots: ReadonlyMap<string, readonly SnapshotRemoval[]>;
  /** Of types from outside. */
  readonly resources: readonly { readonly type: string; readonly removal: Removal }[];
  /** How many things stay. */
  readonly kept: number;
}

/** What a run does, decided from one state of the records. */
export interface Plan {
  readonly graph: Graph;
  readonly marks: Marks;
  readonly loader: GraphLoader;
  /** Records that go. */
  readonly records: readonly Node[];
  removalOf(node: Node): Removal | undefined;
  readonly sweep: Sweep;
}

/** Why something goes, in words that follow its name. */
export function reasonOf(graph: Graph, marks: Marks, node: Node): string {
  const origin = marks.origin(node);
  if (origin === undefined) return "nothing refers to it";
  return origin.node === node ? origin.by : `${graph.type(origin.node)} ${graph.id(origin.node)} ${origin.by}`;
}

/** Below, the namespace comes first in a ref or name. What nobody here named like that belongs to none. */
export function itemBelow(type: "ingest" | "snapshot", name: string, snapshotter?: string): Item {
  const pattern = type === "ingest" ? /^([^/]+)\/(.+)$/s : /^([^/]+)\/\d+\/(.+)$/s;
  const [, namespace = "", id = name] = pattern.exec(name) ?? [];
  return snapshotter === undefined ? { namespace, type, id } : { namespace, type, snapshotter, id };
}
