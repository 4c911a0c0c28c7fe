import type { LayerHands } from "./layer-hands.ts";
import { LayerModel } from "./layer-model.ts";
import { randomOperation } from "./layer-operation.ts";
import type { Answer, Operation } from "./layer-operation.ts";
import type { LayerStoreScene } from "./layer-store-scene.ts";

const stores = [0, 1];

/** In which order the first and the second parts of two operations may come. */
const orders = ["0011", "0101", "0110", "1001", "1010", "1100"].map((order) => Array.from(order, Number));

/** Random operations on two stores in one root, one by one or two at once, held against the model. */
export class RandomSequences {
  readonly #scene: LayerStoreScene;
  readonly #hands: LayerHands;
  readonly #random: () => number;
  #model = new LayerModel();
  #lastId = 0;
  #gone: number[] = [];
  /** What was done in this sequence. */
  #log: string[] = [];

  constructor(scene: LayerStoreScene, hands: LayerHands, random: () => number) {
    this.#scene = scene;
    this.#hands = hands;
    this.#random = random;
  }

  /** From an empty store to an empty one. Throws what is not as in the model, with all that was done. */
  async run(): Promise<void> {
    this.#log = [];
    try {
      for (const store of stores) if (!this.#model.isOpen(store)) await this.#one({ kind: "open", store });
      for (let left = 2 + Math.floor(this.#random() * 6); left > 0; left -= 1) {
        const operation = this.#next();
        if (this.#random() < 0.15) await this.#both([operation, this.#next()]);
        else await this.#one(operation);
      }
      await this.#compare();
      await this.#drain();
      await this.#compare();
    } catch (error) {
      throw new Error(`${String(error)}\nafter\n${this.#log.join("\n")}`, { cause: error });
    }
    this.#hands.forget();
    this.#gone = [];
  }

  #next(): Operation {
    this.#lastId += 1;
    return randomOperation(this.#random, this.#lastId, this.#model.choices(stores, this.#gone));
  }

  async #one(operation: Operation): Promise<void> {
    if (operation.kind === "open" && this.#model.isOpen(operation.store)) return;
    const answer = await this.#hands.perform(operation);
    const before = this.#model.references;
    this.#said([operation], [answer], [this.#model.perform(operation)]);
    const now = new Set(this.#model.references);
    this.#gone.push(...before.filter((id) => !now.has(id)));
  }

  /** Each of two operations may come first, or in the middle of the other. */
  async #both(pair: readonly [Operation, Operation]): Promise<void> {
    if (!pair.every((operation) => this.#goesWithOthers(operation)) || areOfOneReference(pair)) {
      for (const operation of pair) await this.#one(operation);
      return;
    }
    const answers = await Promise.all(pair.map((operation) => this.#hands.perform(operation)));
    const list = await this.#listed();
    const before = this.#model.references;
    const outcomes = orders.map((order) => outcomeOf(this.#model, pair, order));
    const found =
      outcomes.find(({ answers: said, model }) => same(said, answers) && same(chainsOf(model), list)) ?? outcomes[0];
    if (found === undefined) return;
    this.#said(pair, [...answers, ...list], [...found.answers, ...chainsOf(found.model)]);
    this.#model = found.model;
    const now = new Set(this.#model.references);
    this.#gone.push(...before.filter((id) => !now.has(id)));
  }

  /** What is under way in a store that is closed may end in either way. */
  #goesWithOthers(operation: Operation): boolean {
    return operation.kind !== "open" && operation.kind !== "close";
  }

  /** What the store says that it has, what is on disk, and what the model has. */
  async #compare(): Promise<void> {
    if (stores.every((store) => !this.#model.isOpen(store))) await this.#one({ kind: "open", store: 0 });
    const chains = chainsOf(this.#model);
    this.#must("list", await this.#listed(), chains);
    const { committed, others } = await this.#scene.snapshots();
    this.#must("snapshots", [...committed, `${others} active`], [...chains, "0 active"]);
    const { records, scratch } = await this.#scene.files();
    this.#must("files", [`${records.length} records`, ...scratch], [`${chains.length} records`]);
  }

  /** Releases what is held, and what nobody holds any more. */
  async #drain(): Promise<void> {
    const open = stores.find((store) => this.#model.isOpen(store)) ?? 0;
    for (const reference of this.#model.references) await this.#one({ kind: "release", reference });
    // The topmost first: on it nothing stands.
    for (const { chainId } of this.#model.layers.toSorted((a, b) => b.depth - a.depth)) {
      if (!chainsOf(this.#model).includes(chainId)) continue;
      this.#lastId += 1;
      await this.#one({ kind: "get", id: this.#lastId, store: open, chain: chainId });
      await this.#one({ kind: "release", reference: this.#lastId });
    }
  }

  async #listed(): Promise<readonly string[]> {
    const open = stores.find((store) => this.#model.isOpen(store));
    if (open === undefined) return chainsOf(this.#model);
    return (await this.#hands.list(open)).map(({ chainId }) => chainId);
  }

  #said(operations: readonly Operation[], answers: readonly Answer[], expected: readonly Answer[]): void {
    this.#log.push(
      `${operations.map((operation) => JSON.stringify(operation)).join(" with ")}: ${answers.join(" | ")}`,
    );
    this.#must("the answer", answers, expected);
  }

  #must(what: string, found: readonly string[], expected: readonly string[]): void {
    if (!same(found, expected)) throw new Error(`${what}: ${found.join(" | ")}\ninstead of ${expected.join(" | ")}`);
  }
}

/** What the model says to two operations whose parts come in this order. */
function outcomeOf(
  model: LayerModel,
  pair: readonly [Operation, Operation],
  order: readonly number[],
): { readonly answers: readonly Answer[]; readonly model: LayerModel } {
  const next = model.clone();
  const answers: (Answer | undefined)[] = [];
  const begun = new Set<number>();
  for (const at of order) {
    const operation = pair[at === 0 ? 0 : 1];
    answers[at] ??= begun.has(at) ? next.end(operation) : next.begin(operation);
    begun.add(at);
  }
  return { answers: answers.map(String), model: next };
}

/** A reference that is released while its tar is read is its owner's mistake. */
function areOfOneReference([first, second]: readonly [Operation, Operation]): boolean {
  return "reference" in first && "reference" in second && first.reference === second.reference;
}

function chainsOf(model: LayerModel): readonly string[] {
  return model.layers.map(({ chainId }) => chainId);
}

function same(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((one, index) => one === others[index]);
}
