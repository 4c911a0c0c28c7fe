import { none } from "./graph.ts";
import type { Graph, Node } from "./graph.ts";

// How many references are looked at between two chances to pause.
const stride = 5000;

/** Records in the order they can be removed in. */
export interface RemovalOrder {
  readonly nodes: readonly Node[];
  /** So many can be removed one by one; those after them refer to each other in circles, and go in one step. */
  readonly apart: number;
}

/**
 * Nothing goes before what refers to it: whoever finds one of the records between two steps, and has it kept from then on,
 * finds all that it needs. So also no parent of a snapshot goes before its children. Among what may go at the same time the
 * order is that of the tables, as neighbours in a table share pages on disk. The caller may pause whenever it yields.
 */
export function* removalOrder(graph: Graph, records: readonly Node[]): Generator<void, RemovalOrder, undefined> {
  const blockers = yield* countReferrers(graph, records);
  const nodes: Node[] = [];
  const place = (ranks: readonly number[]): void => {
    for (const rank of Int32Array.from(ranks).toSorted()) nodes.push(graph.atRank(rank));
  };
  place(records.filter((node) => blockers[node] === 1).map((node) => graph.rank(node)));
  for (let start = 0, seen = 0; start < nodes.length;) {
    const end = nodes.length;
    const next: number[] = [];
    for (; start < end; start += 1) {
      const node = nodes[start] ?? none;
      blockers[node] = 0;
      for (let edge = graph.firstEdge(node); edge !== none; edge = graph.nextEdge(edge)) {
        seen += 1;
        if (seen % stride === 0) yield;
        const to = graph.target(edge);
        const left = to === node ? 0 : (blockers[to] ?? 0) - 1;
        if (left < 1) continue;
        blockers[to] = left;
        if (left === 1) next.push(graph.rank(to));
      }
    }
    place(next);
  }
  const apart = nodes.length;
  if (apart < records.length) nodes.push(...records.filter((node) => blockers[node] !== 0));
  return { nodes, apart };
}

/** For each record one more than there are references to it from the others; 0 for what is none. */
function* countReferrers(graph: Graph, records: readonly Node[]): Generator<void, Int32Array, undefined> {
  const counts = new Int32Array(graph.size);
  for (const node of records) counts[node] = 1;
  let seen = 0;
  for (const node of records) {
    for (let edge = graph.firstEdge(node); edge !== none; edge = graph.nextEdge(edge)) {
      seen += 1;
      if (seen % stride === 0) yield;
      const to = graph.target(edge);
      if (to !== node && (counts[to] ?? 0) > 0) counts[to] = (counts[to] ?? 0) + 1;
    }
  }
  return counts;
}
