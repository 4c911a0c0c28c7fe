import { isDigest } from "@varve/digest";
import { CodedError, hasCode } from "@varve/errors";
import type { Item } from "../item.ts";
import type { StoreContext } from "../store-context.ts";
import { checkOptions } from "./collect.ts";
import { decide } from "./decide.ts";
import type { Node } from "./graph.ts";
import { takeInventory } from "./inventory.ts";
import type { Inventory } from "./inventory.ts";
import { lookUp } from "./look-up.ts";
import { itemBelow, reasonOf } from "./plan.ts";
import type { BackendRemoval, Plan } from "./plan.ts";
import type { CollectOptions, Explanation } from "./report.ts";

/** Tells why a run of the collector now would keep an item, or take it. */
export async function explain(
  context: StoreContext,
  item: Item,
  options: Pick<CollectOptions, "signal" | "ingestAgeMs" | "ingestBytes"> = {},
): Promise<Explanation> {
  checkOptions(options);
  const { signal } = options;
  const recorded = await context.database.read((session) => lookUp(session, item), signal);
  if (!recorded.here && (recorded.elsewhere || !(await mayBeBelow(context, item, signal)))) throw notFound(item);
  // Of the blobs only those are looked at that the decision depends on.
  const blobs = item.type === "content" ? [item.id, ...recorded.expected] : recorded.expected;
  const inventory = await takeInventory(context, signal, { blobs, snapshots: item.type === "snapshot" });
  const plan = await decide({ context, inventory, options });
  const node = nodeOf(plan, item);
  if (node !== undefined && plan.graph.exists(node)) return explainNode(plan, node);
  const below = idBelow(inventory, item);
  if (below === undefined || isForeign(plan, item)) throw notFound(item);
  if (node !== undefined && plan.marks.isKept(node)) return explainNode(plan, node);
  return explainOrphan(plan, item, below);
}

/** Whether something without a record may be in a store below. */
async function mayBeBelow(context: StoreContext, item: Item, signal: AbortSignal | undefined): Promise<boolean> {
  const { content } = context;
  const { namespace, type, id } = item;
  if (type === "content") return isDigest(id) && isFound(content.info(id, { signal }));
  if (type === "ingest") {
    return (await isFound(content.status(`${namespace}/${id}`, { signal }))) || isFound(content.status(id, { signal }));
  }
  // What the snapshotter calls it is not known.
  return type === "snapshot" || context.resources.some((resource) => resource.type === type);
}

async function isFound(looking: Promise<unknown>): Promise<boolean> {
  try {
    await looking;
    return true;
  } catch (error) {
    if (hasCode(error, "ERR_NOT_FOUND")) return false;
    throw error;
  }
}

/** The node of an item; of a snapshot without its snapshotter the first that has the name. */
function nodeOf({ graph }: Plan, item: Item): Node | undefined {
  if (item.type !== "snapshot" || item.snapshotter !== undefined) return graph.find(item);
  const nodes = graph.snapshotters(item.namespace).map((snapshotter) => graph.find({ ...item, snapshotter }));
  return nodes.find((node) => node !== undefined && graph.exists(node));
}

function explainNode(plan: Plan, node: Node): Explanation {
  const { graph, marks } = plan;
  const item = graph.item(node);
  const name = nameOf(item);
  const removal = plan.removalOf(node);
  if (removal !== undefined) {
    return { item, kept: false, path: [], summary: `${name} goes: ${removal.reason}` };
  }
  if (!marks.isKept(node))
    return { item, kept: false, path: [], summary: `${name} goes: ${reasonOf(graph, marks, node)}` };
  const path = marks.path(node).map((step) => ({ item: graph.item(step.node), by: step.by }));
  const [root] = path;
  const summary =
    root === undefined || path.length === 1
      ? `${name} is kept: ${root?.by}`
      : `${name} is kept by ${nameOf(root.item)}`;
  return { item, kept: true, path, summary };
}

function explainOrphan(plan: Plan, item: Item, id: string): Explanation {
  const goes = removalsBelow(plan, item).some((removal) => removal.id === id);
  if (goes) return { item, kept: false, path: [], summary: `${nameOf(item)} goes: it has no record` };
  const summary = `${nameOf(item)} is kept: it has no record yet, but somebody is about to make it, or it is stood on`;
  return { item, kept: true, path: [], summary };
}

function removalsBelow(plan: Plan, { type, snapshotter }: Item): readonly BackendRemoval[] {
  if (type === "content") return plan.sweep.blobs;
  if (type === "ingest") return plan.sweep.ingests;
  const lists = [...plan.sweep.snapshots].filter(([name]) => snapshotter === undefined || name === snapshotter);
  return lists.flatMap(([, removals]) => removals);
}

/** What the store below calls something that has no record. */
function idBelow(inventory: Inventory, item: Item): string | undefined {
  const { namespace, type, snapshotter, id } = item;
  if (type === "content") return inventory.blobs.has(id) ? id : undefined;
  if (type === "ingest") return [`${namespace}/${id}`, id].find((ref) => inventory.ingests.has(ref));
  if (type !== "snapshot") return undefined;
  for (const [name, { infos }] of inventory.snapshots) {
    if (snapshotter !== undefined && snapshotter !== name) continue;
    if (infos.has(id)) return id;
    for (const key of infos.keys()) {
      const below = itemBelow("snapshot", key);
      if (below.id === id && below.namespace === namespace) return key;
    }
  }
  return undefined;
}

/** A blob that another namespace has is none of this one. */
function isForeign({ graph }: Plan, { type, id }: Item): boolean {
  return type === "content" && graph.everywhere("content", id).length > 0;
}

function notFound(item: Item): CodedError {
  return new CodedError("ERR_NOT_FOUND", `${nameOf(item)}: not found`);
}

function nameOf({ type, id }: Item): string {
  return `${type} ${id}`;
}
