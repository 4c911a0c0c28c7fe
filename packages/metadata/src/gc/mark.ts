import { none } from "./graph.ts";
import type { Graph, Node, Seed, SeedKind } from "./graph.ts";

const kinds: readonly SeedKind[] = ["kept", "flat", "gone"];

// How many edges are looked at between two chances to pause.
const stride = 5000;

/** One step from a root: the node, and what led to it. */
export interface Step {
  readonly node: Node;
  readonly by: string;
}

/**
 * Breadth first from the roots that keep everything, then from those of flat leases, then from what has been a root: so a
 * node is visited once, in its best state, and the ways that are told are short. Linear in nodes and edges (U-GC.5).
 */
export class Marks {
  /** Edges looked at so far. */
  edges = 0;
  readonly #graph: Graph;
  /** 0 is unreached, else one more than the place in `kinds`. */
  readonly #state: Uint8Array;
  readonly #from: Int32Array;
  /** The edge that led to a node, or `none` for a seed. */
  readonly #edge: Int32Array;
  readonly #seed: Int32Array;

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#state = new Uint8Array(graph.size);
    this.#from = new Int32Array(graph.size).fill(none);
    this.#edge = new Int32Array(graph.size).fill(none);
    this.#seed = new Int32Array(graph.size).fill(none);
  }

  /** Marks; the caller may pause whenever it yields. */
  *run(): Generator<void, void, undefined> {
    for (const [place, kind] of kinds.entries()) {
      const queue = this.#start(kind, place + 1);
      for (let index = 0; index < queue.length; index += 1) {
        const node = queue[index] ?? none;
        for (let edge = this.#graph.firstEdge(node); edge !== none; edge = this.#graph.nextEdge(edge)) {
          this.edges += 1;
          if (this.edges % stride === 0) yield;
          if (kind !== "flat" || this.#graph.isFixed(edge)) this.#follow(node, edge, queue);
        }
      }
    }
  }

  isKept(node: Node): boolean {
    const state = this.#state[node];
    return state === 1 || state === 2;
  }

  /** The seed that the way to the node begins with. */
  origin(node: Node): Seed | undefined {
    const index = this.#seed[node] ?? none;
    return index === none ? undefined : this.#rootOf(index);
  }

  /** The way to a reached node, from a root on. */
  path(node: Node): readonly Step[] {
    const steps: Step[] = [];
    for (let at = node; at !== none; at = this.#from[at] ?? none) steps.push({ node: at, by: this.#by(at) });
    return steps.toReversed();
  }

  #start(kind: SeedKind, state: number): Node[] {
    const queue: Node[] = [];
    for (const [index, seed] of this.#graph.seeds.entries()) {
      if (seed.kind !== kind || this.#state[seed.node] !== 0) continue;
      this.#state[seed.node] = state;
      this.#from[seed.node] = seed.from;
      this.#seed[seed.node] = index;
      queue.push(seed.node);
    }
    return queue;
  }

  #follow(from: Node, edge: number, queue: Node[]): void {
    const to = this.#graph.target(edge);
    if (this.#state[to] !== 0) return;
    this.#state[to] = this.#state[from] ?? 0;
    this.#from[to] = from;
    this.#edge[to] = edge;
    this.#seed[to] = this.#seed[from] ?? none;
    queue.push(to);
  }

  #by(node: Node): string {
    const edge = this.#edge[node] ?? none;
    if (edge !== none) return this.#graph.by(edge);
    return this.#graph.seeds[this.#seed[node] ?? none]?.by ?? "";
  }

  /** What a lease holds is a seed of its own; the way to it begins with the lease. */
  #rootOf(index: number): Seed | undefined {
    const seed = this.#graph.seeds[index];
    return seed === undefined || seed.from === none ? seed : this.origin(seed.from);
  }
}
