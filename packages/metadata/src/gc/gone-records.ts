import type { Plan, Removal } from "./plan.ts";
import type { Node } from "./graph.ts";

/**
 * Records that a run has removed by a plan that did not stay true: the next plan does not find them, but what they stood
 * for is still below, and they are part of the report.
 */
export class GoneRecords {
  readonly removals: Removal[] = [];
  readonly #below: Map<string, Removal> = new Map();

  add(plan: Plan, nodes: readonly Node[]): void {
    const { loader, graph } = plan;
    const keys = new Map(loader.snapshots.map(({ node, key }) => [node, key]));
    for (const node of nodes) {
      const removal = plan.removalOf(node);
      if (removal === undefined) continue;
      this.removals.push(removal);
      const { namespace, type, snapshotter, id } = graph.item(node);
      if (type === "content") this.#add(type, undefined, id, removal);
      if (type === "ingest") this.#add(type, undefined, `${namespace}/${id}`, removal);
      if (type === "snapshot") this.#add(type, snapshotter, keys.get(node) ?? "", removal);
    }
  }

  /** @param id as the store below has it */
  find(type: "content" | "ingest" | "snapshot", id: string, snapshotter?: string): Removal | undefined {
    return this.#below.get(keyOf(type, snapshotter, id));
  }

  #add(type: string, snapshotter: string | undefined, id: string, removal: Removal): void {
    const key = keyOf(type, snapshotter, id);
    // Of a digest that several namespaces lose, the bytes are counted for the first.
    if (!this.#below.has(key)) this.#below.set(key, removal);
  }
}

/** No snapshotter has a space in its name. */
function keyOf(type: string, snapshotter: string | undefined, id: string): string {
  return `${type} ${snapshotter ?? ""} ${id}`;
}
