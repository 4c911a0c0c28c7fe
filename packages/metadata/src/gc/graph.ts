import type { Item } from "../item.ts";

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
  readonly #scopeOf: Scope[] = [];
  readonly #ids: string[] = [];
  readonly #exists: boolean[] = [];
  readonly #firstEdge: number[] = [];
  readonly #nextEdge: number[] = [];
  readonly #target: Node[] = [];
  readonly #by: string[] = [];
  readonly #fixed: boolean[] = [];

  get size(): number {
    return this.#ids.length;
  }

  node(namespace: string, type: string, snapshotter: string, id: string): Node {
    const scope = this.#scope(namespace, type, snapshotter);
    const known = scope.nodes.get(id);
    if (known !== undefined) return known;
    const node = this.#ids.push(id) - 1;
    this.#scopeOf.push(scope);
    this.#exists.push(false);
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
    this.#exists[node] = true;
    return node;
  }

  exists(node: Node): boolean {
    return this.#exists[node] === true;
  }

  /** Whether a thing of that type and id exists in any namespace. */
  existsAnywhere(type: string, id: string): boolean {
    for (const scope of this.#scopes.values()) {
      const node = scope.type === type ? scope.nodes.get(id) : undefined;
      if (node !== undefined && this.exists(node)) return true;
    }
    return false;
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
    const edge = this.#target.push(to) - 1;
    this.#by.push(by);
    this.#fixed.push(fixed);
    this.#nextEdge.push(this.#firstEdge[from] ?? none);
    this.#firstEdge[from] = edge;
  }

  firstEdge(node: Node): number {
    return this.#firstEdge[node] ?? none;
  }

  nextEdge(edge: number): number {
    return this.#nextEdge[edge] ?? none;
  }

  target(edge: number): Node {
    return this.#target[edge] ?? none;
  }

  by(edge: number): string {
    return this.#by[edge] ?? "";
  }

  isFixed(edge: number): boolean {
    return this.#fixed[edge] === true;
  }

  #of(node: Node): Scope {
    const scope = this.#scopeOf[node];
    if (scope === undefined) throw new RangeError(`graph: no node ${node}`);
    return scope;
  }

  #scope(namespace: string, type: string, snapshotter: string): Scope {
    const key = scopeKey(namespace, type, snapshotter);
    const known = this.#scopes.get(key);
    if (known !== undefined) return known;
    const scope: Scope = { type, namespace, snapshotter, nodes: new Map() };
    this.#scopes.set(key, scope);
    return scope;
  }
}

/** Neither namespaces nor types have slashes in them. */
function scopeKey(namespace: string, type: string, snapshotter: string): string {
  return `${namespace}/${type}/${snapshotter}`;
}
