import { labelGcExpire, labelGcFlat, labelLeaseOwner } from "@varve/leases";
import { labelTarget } from "@varve/snapshots";
import type { Row, Session } from "../database.ts";
import { timeOf } from "../expiry.ts";
import { labelsOf } from "../labels.ts";
import type { Item } from "../item.ts";
import { textOf } from "../pages.ts";
import { Graph, none } from "./graph.ts";
import type { Node, SeedKind } from "./graph.ts";
import { judgeIngests } from "./judge-ingests.ts";
import type { IngestLimits, IngestRecord } from "./judge-ingests.ts";
import type { Inventory } from "./inventory.ts";
import { paged } from "./paged.ts";
import type { Stage } from "./paged.ts";
import { meaningOf } from "./label-references.ts";
import type { Condition, LabelMeaning } from "./label-references.ts";

/** Labels that mean nothing here are most, and stay where they are. */
const gcLabels = "CASE WHEN instr(labels, 'containerd.io/gc.') > 0 THEN labels ELSE '{}' END AS labels";

export interface SnapshotRecord {
  readonly node: Node;
  readonly namespace: string;
  readonly snapshotter: string;
  readonly seq: number;
  readonly parent: number | undefined;
  readonly key: string;
  readonly owner: string;
  /** What the snapshot will be committed as, if that was said. */
  readonly target: string;
  /** There is no snapshot below, and nobody is making it. */
  readonly lost: boolean;
}

/**
 * Reads all records into a graph, in steps of some hundred rows, so that the caller may pause between them if nothing
 * has changed when it is done, or else do them all in one transaction.
 */
export class GraphLoader {
  readonly graph: Graph = new Graph();
  readonly ingests: IngestRecord[] = [];
  readonly snapshots: SnapshotRecord[] = [];
  /** Blobs below may belong to records that are not made yet. */
  adopting = false;
  readonly #inventory: Inventory;
  readonly #types: ReadonlySet<string>;
  readonly #leases: Map<Node, SeedKind> = new Map();
  readonly #held: Set<Node> = new Set();
  readonly #usedAt: Map<Node, number> = new Map();
  readonly #conditions: { readonly from: Node; readonly condition: Condition; readonly to: Node }[] = [];
  readonly #stages: Stage[];

  constructor(inventory: Inventory, limits: IngestLimits) {
    this.#inventory = inventory;
    this.#types = new Set(["content", "image", ...inventory.resources.map(({ resource }) => resource.type)]);
    const { graph } = this;
    this.#stages = [
      (session) => this.#begin(session),
      paged("leases", "namespace, id", "*", (row) => this.#lease(row)),
      paged("lease_resources", "namespace, lease, type, snapshotter, id", "*", (row) => this.#leased(row)),
      paged("images", "namespace, name", `namespace, name, target ->> '$.digest' AS target, ${gcLabels}`, (row) =>
        this.#image(row),
      ),
      paged("blobs", "namespace, digest", `namespace, digest, ${gcLabels}`, (row) => this.#blob(row)),
      paged(
        "snapshots",
        "seq",
        `seq, namespace, snapshotter, name, parent, backend_key, owner, labels ->> '$."${labelTarget}"' AS target, ${gcLabels}`,
        (row) => this.#snapshot(row),
      ),
      paged("ingests", "namespace, ref", "*", (row) => this.#ingest(row)),
      () => {
        this.#link();
        judgeIngests({ graph, inventory, limits, records: this.ingests, held: this.#held });
        return true;
      },
    ];
  }

  /** Reads on, and says whether there is nothing more to read. */
  step(session: Session): boolean {
    if (this.#stages[0]?.(session) === true) this.#stages.shift();
    return this.#stages.length === 0;
  }

  #begin(session: Session): boolean {
    this.adopting = session.get("SELECT 1 FROM adoptions LIMIT 1") !== undefined;
    for (const { items, active } of this.#inventory.resources) {
      for (const { item, references } of items) {
        const node = this.graph.add(item.namespace, item.type, "", item.id);
        for (const reference of references) this.graph.edge(node, this.#nodeOf(reference), item.type, true);
      }
      for (const item of active) this.#seed(this.#nodeOf(item), "kept", "active");
    }
    return true;
  }

  #lease(row: Row): void {
    const labels = labelsOf(row);
    const node = this.graph.add(textOf(row, "namespace"), "lease", "", textOf(row, "id"));
    const owner = Object.hasOwn(labels, labelLeaseOwner) ? labels[labelLeaseOwner] : undefined;
    const expires = earlier(row["expires_at"], timeOf(labels[labelGcExpire] ?? ""));
    const end = this.#endOf(owner, expires);
    if (end !== undefined) this.#leases.set(node, "gone");
    else this.#leases.set(node, Object.hasOwn(labels, labelGcFlat) ? "flat" : "kept");
    const why = owner === undefined ? `lease${until(expires)}` : `lease of the process ${owner}`;
    this.#seed(node, end === undefined ? "kept" : "gone", end ?? why);
  }

  /**
   * The lease of a process ends with it, and with nothing else: a clock that is set forward in the middle of an operation
   * must not take away what the operation works on (P08, C03).
   */
  #endOf(owner: string | undefined, expires: number | undefined): string | undefined {
    if (owner !== undefined) return this.#inventory.isAlive(owner) ? undefined : `outlived its process ${owner}`;
    return this.#hasPassed(expires) ? `expired ${textOfTime(expires)}` : undefined;
  }

  #leased(row: Row): void {
    const namespace = textOf(row, "namespace");
    const type = textOf(row, "type");
    const lease = this.graph.node(namespace, "lease", "", textOf(row, "lease"));
    const node = this.graph.node(namespace, type, textOf(row, "snapshotter"), textOf(row, "id"));
    const kind = this.#leases.get(lease) ?? "gone";
    if (kind !== "gone") this.#held.add(node);
    // An ingest refers to nothing by labels, and the labels of further types are not ours to read.
    const flat = kind === "flat" && ["content", "image", "snapshot"].includes(type);
    this.graph.seeds.push({
      node,
      kind: kind === "flat" && !flat ? "kept" : kind,
      by: flat ? "flat lease" : "lease",
      from: lease,
    });
  }

  #ingest(row: Row): void {
    const [namespace, ref] = [textOf(row, "namespace"), textOf(row, "ref")];
    const expected = row["expected"] === null ? undefined : textOf(row, "expected");
    const node = this.graph.add(namespace, "ingest", "", ref);
    if (expected !== undefined && expected !== "") {
      this.graph.edge(node, this.graph.node(namespace, "content", "", expected), "expected", true);
    }
    this.ingests.push({ node, below: `${namespace}/${ref}`, expected, createdAt: Number(row["created_at"]) });
  }

  #image(row: Row): void {
    const namespace = textOf(row, "namespace");
    const node = this.graph.add(namespace, "image", "", textOf(row, "name"));
    this.graph.edge(node, this.graph.node(namespace, "content", "", textOf(row, "target")), "target", true);
    const meaning = this.#labels(node, namespace, row);
    if (this.#hasPassed(meaning.expires)) this.#seed(node, "gone", `expired ${textOfTime(meaning.expires)}`);
    else this.#seed(node, "kept", `image${until(meaning.expires)}`);
    this.#conditional(node, namespace, meaning);
  }

  #blob(row: Row): void {
    const namespace = textOf(row, "namespace");
    const node = this.graph.add(namespace, "content", "", textOf(row, "digest"));
    if (row["labels"] === "{}") return;
    const meaning = this.#labels(node, namespace, row);
    this.#root(node, meaning);
    this.#conditional(node, namespace, meaning);
  }

  #snapshot(row: Row): void {
    const [namespace, snapshotter] = [textOf(row, "namespace"), textOf(row, "snapshotter")];
    const [seq, key, owner] = [Number(row["seq"]), textOf(row, "backend_key"), textOf(row, "owner")];
    const node = this.graph.add(namespace, "snapshot", snapshotter, textOf(row, "name"));
    const lost = this.#inventory.lost.get(seq) === key && !this.#inventory.isAlive(owner);
    const parent = row["parent"] === null ? undefined : Number(row["parent"]);
    this.snapshots.push({ node, namespace, snapshotter, seq, parent, key, owner, target: textOf(row, "target"), lost });
    if (row["labels"] === "{}") return;
    const meaning = this.#labels(node, namespace, row);
    this.#root(node, meaning);
    if (meaning.usedAt !== undefined) this.#usedAt.set(node, meaning.usedAt);
  }

  #labels(node: Node, namespace: string, row: Row): LabelMeaning {
    const meaning = meaningOf(labelsOf(row), this.#types);
    for (const { type, snapshotter, id, label } of meaning.references) {
      this.graph.edge(node, this.graph.node(namespace, type, snapshotter, id), `label ${label}`, false);
    }
    for (const { type, snapshotter, id, label } of meaning.backReferences) {
      this.graph.edge(this.graph.node(namespace, type, snapshotter, id), node, `its label ${label}`, false);
    }
    return meaning;
  }

  #conditional(from: Node, namespace: string, { conditions }: LabelMeaning): void {
    for (const condition of conditions) {
      const to = this.graph.node(namespace, condition.type, condition.snapshotter, condition.id);
      this.#conditions.push({ from, condition, to });
    }
  }

  #root(node: Node, { root }: LabelMeaning): void {
    if (root) this.#seed(node, "kept", "label containerd.io/gc.root");
  }

  /** What can only be said when everything is read: a parent may have been made after its child (`rebase`). */
  #link(): void {
    const nodes = new Map(this.snapshots.map(({ seq, node }) => [seq, node]));
    for (const { node, parent } of this.snapshots) {
      const to = parent === undefined ? undefined : nodes.get(parent);
      if (to !== undefined) this.graph.edge(node, to, "parent", true);
    }
    for (const { from, to, condition } of this.#conditions) {
      const usedAt = this.#usedAt.get(to);
      if (usedAt === undefined) continue;
      const age = this.#inventory.now - usedAt;
      const holds = condition.operator === "<" ? age < condition.milliseconds : age > condition.milliseconds;
      if (holds) this.graph.edge(from, to, `label ${condition.label}`, false);
    }
  }

  #nodeOf({ namespace, type, snapshotter = "", id }: Item): Node {
    return this.graph.node(namespace, type, snapshotter, id);
  }

  #seed(node: Node, kind: SeedKind, by: string): void {
    this.graph.seeds.push({ node, kind, by, from: none });
  }

  #hasPassed(time: number | undefined): boolean {
    return time !== undefined && time <= this.#inventory.now;
  }
}

function earlier(column: unknown, label: Date | undefined): number | undefined {
  const times = [column === null || column === undefined ? undefined : Number(column), label?.getTime()];
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

function until(time: number | undefined): string {
  return time === undefined ? "" : ` until ${textOfTime(time)}`;
}

/** A time that a `Date` cannot hold is still a number. */
function textOfTime(time: number | undefined): string {
  const date = new Date(time ?? Number.NaN);
  return Number.isNaN(date.getTime()) ? String(time) : date.toISOString();
}
