import type { Item } from "../item.ts";
import { Numbers } from "./numbers.ts";

/** A node of the graph: a number from 0 on. */
export type Node = number;

/** No node, no edge. */
export const none = -1;

/**
 * - `kept`: a root, and all that it refers to is kept
 * - `flat`: kept, but what it refers to by labels is not (the resources of a flat lease)
 * - `gone`: it was a root once. It keeps nothing, but explains why the things are there.
 */
export type SeedKind = "kept" | "flat" | "gone";

/** Where marking starts. */
export interface Seed {
  readonly node: Node;
  readonly kind: SeedKind;
  /** Why it is a root, or what holds it, or what became of it. */
  readonly by: string;
  /** The lease that holds the node; `none` for a root. */
  readonly from: Node;
}

interface Scope {
  readonly place: number;
  readonly type: string;
  readonly namespace: string;
  readonly snapshotter: string;
  readonly nodes: Map<string, Node>;
}

/**
 * Who refers to whom, in all namespaces. Numbers in flat arrays: a store has hundreds of thousands of things.
 * A thing that is only referred to is a node too, so that back references to it count although it does not exist.
 */
export class Graph {
  readonly seeds: Seed[] = [];
  readonly #scopes: Map<string, Scope> = new Map();
  readonly #scopeList: Scope[] = [];
  readonly #ids: string[] = [];
  readonly #scopeOf: Numbers = new Numbers();
  /** How many were known to exist when the node came to be, itself included; 0 for what does not. */
  readonly #rank: Numbers = new Numbers();
  readonly #byRank: Numbers = new Numbers();
  readonly #firstEdge: Numbers = new Numbers();
  readonly #nextEdge: Numbers = new Numbers();
  readonly #target: Numbers = new Numbers();
  /** Twice the place in `#reasons`, and one more if the edge is fixed. */
  readonly #kind: Numbers = new Numbers();
  readonly #reasons: string[] = [];
  readonly #reasonPlaces: Map<string, number> = new Map();

  get size(): number {
    return this.#ids.length;
  }

  node(namespace: string, type: string, snapshotter: string, id: string): Node {
    const scope = this.#scope(namespace, type, snapshotter);
    const known = scope.nodes.get(id);
    if (known !== undefined) return known;
    const node = this.#ids.push(id) - 1;
    this.#scopeOf.push(scope.place);
    this.#rank.push(0);
    this.#firstEdge.push(none);
    scope.nodes.set(id, node);
    return node;
  }

  /** The node of a thing if there is one. */
  find({ namespace, type, snapshotter = "", id }: Item): Node | undefined {
    return this.#scopes.get(scopeKey(namespace, type, snapshotter))?.nodes.get(id);
  }

  /** The same for a thing that is known to exist: it has a record, or its `CollectibleResource` named it. */
  add(namespace: string, type: string, snapshotter: string, id: string): Node {
    const node = this.node(namespace, type, snapshotter, id);
    if (!this.exists(node)) this.#rank.set(node, this.#byRank.push(node) + 1);
    return node;
  }

  exists(node: Node): boolean {
    return this.#rank.at(node) > 0;
  }

  /** Orders what exists as it was added. */
  rank(node: Node): number {
    return this.#rank.at(node);
  }

  atRank(rank: number): Node {
    return this.#byRank.at(rank - 1);
  }

  /** The things of that type and id that exist, of all namespaces. */
  everywhere(type: string, id: string): readonly Node[] {
    const nodes: Node[] = [];
    for (const scope of this.#scopeList) {
      const node = scope.type === type ? scope.nodes.get(id) : undefined;
      if (node !== undefined && this.exists(node)) nodes.push(node);
    }
    return nodes;
  }

  item(node: Node): Item {
    const { type, namespace, snapshotter } = this.#of(node);
    const id = this.id(node);
    return snapshotter === "" ? { namespace, type, id } : { namespace, type, snapshotter, id };
  }

  type(node: Node): string {
    return this.#of(node).type;
  }

  id(node: Node): string {
    return this.#ids[node] ?? "";
  }

  /** The names of the snapshotters that things are known of. */
  snapshotters(namespace: string): readonly string[] {
    const scopes = [...this.#scopes.values()];
    return scopes
      .filter((scope) => scope.namespace === namespace && scope.snapshotter !== "")
      .map((scope) => scope.snapshotter);
  }

  /**
   * @param by what makes `from` keep `to`
   * @param fixed it does so whoever holds `from`, as a snapshot does with its parent
   */
  edge(from: Node, to: Node, by: string, fixed: boolean): void {
    const edge = this.#target.push(to);
    this.#kind.push(2 * this.#reasonPlace(by) + (fixed ? 1 : 0));
    this.#nextEdge.push(this.#firstEdge.at(from));
    this.#firstEdge.set(from, edge);
  }

  firstEdge(node: Node): number {
    return this.#firstEdge.at(node);
  }

  nextEdge(edge: number): number {
    return this.#nextEdge.at(edge);
  }

  target(edge: number): Node {
    return this.#target.at(edge);
  }

  by(edge: number): string {
    return this.#reasons[this.#kind.at(edge) >> 1] ?? "";
  }

  isFixed(edge: number): boolean {
    return this.#kind.at(edge) % 2 === 1;
  }

  /** Thousands of edges have the same. */
  #reasonPlace(by: string): number {
    const known = this.#reasonPlaces.get(by);
    if (known !== undefined) return known;
    const place = this.#reasons.push(by) - 1;
    this.#reasonPlaces.set(by, place);
    return place;
  }

  #of(node: Node): Scope {
    const scope = this.#scopeList[this.#scopeOf.at(node)];
    if (scope === undefined) throw new RangeError(`graph: no node ${node}`);
    return scope;
  }

  #scope(namespace: string, type: string, snapshotter: string): Scope {
    const key = scopeKey(namespace, type, snapshotter);
    const known = this.#scopes.get(key);
    if (known !== undefined) return known;
    const scope: Scope = { place: this.#scopeList.length, type, namespace, snapshotter, nodes: new Map() };
    this.#scopeList.push(scope);
    this.#scopes.set(key, scope);
    return scope;
  }
}

/** Neither namespaces nor types have slashes in them. */
function scopeKey(namespace: string, type: string, snapshotter: string): string {
  return `${namespace}/${type}/${snapshotter}`;
}
