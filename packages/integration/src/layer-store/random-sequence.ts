import { parseDigest } from "@varve/digest";
import { expectedOnDisk, layersOnDisk } from "./layers-on-disk.ts";
import type { DiskOptions } from "./layers-on-disk.ts";
import type { KillableStores } from "./killable-stores.ts";
import { stores } from "./killable-stores.ts";
import { LayerModel } from "./layer-model.ts";
import type { Operation } from "./layer-operation.ts";
import { outcomesOf } from "./model-outcomes.ts";
import type { Call } from "./model-outcomes.ts";
import { randomOperation } from "./random-operation.ts";

/**
 * Random operations on stores in one root, one by one or two at once, in processes that are killed now and then, held against the
 * model. After a kill there is more than one state that may be: each answer leaves those that it fits.
 */
export class RandomSequences {
  readonly #stores: KillableStores;
  readonly #disk: DiskOptions;
  readonly #random: () => number;
  #models: readonly LayerModel[] = [new LayerModel()];
  #lastId = 0;
  #gone: number[] = [];
  /** What was done in this sequence. */
  #log: string[] = [];
  #wasKilled = false;
  /** Kills, and those in the middle of an operation, of all sequences. */
  readonly kills = { all: 0, interrupted: 0 };

  constructor(killable: KillableStores, disk: DiskOptions, random: () => number) {
    this.#stores = killable;
    this.#disk = disk;
    this.#random = random;
  }

  /** From an empty store to an empty one. Throws what is not as in the model, with all that was done. */
  async run(): Promise<void> {
    this.#log = [];
    this.#gone = [];
    this.#wasKilled = false;
    try {
      for (const store of stores) if (!this.#isOpen(store)) await this.#call([{ operation: { kind: "open", store } }]);
      for (let left = 3 + Math.floor(this.#random() * 8); left > 0; left -= 1) await this.#step();
      await this.#compare();
      await this.#drain();
      await this.#compare();
    } catch (error) {
      throw new Error(`${String(error)}\nafter\n${this.#log.join("\n")}`, { cause: error });
    }
  }

  async #step(): Promise<void> {
    const first = await this.#next();
    const second = this.#random() < 0.2 ? await this.#next() : undefined;
    const part = this.#random() < 0.03 ? this.#random() * 1.2 : undefined;
    if (second === undefined || !goTogether(this.#model, first, second)) {
      await this.#call([{ operation: first, part }]);
      return;
    }
    // Who dies with the other has no answer either.
    const sharesProcess = this.#stores.storesWith(first).join() === this.#stores.storesWith(second).join();
    await this.#call([{ operation: first, part: sharesProcess ? undefined : part }, { operation: second }]);
  }

  async #next(): Promise<Operation> {
    this.#lastId += 1;
    const gone = this.#gone.filter((id) => this.#stores.knows(id));
    const chosen = randomOperation(this.#random, this.#lastId, this.#model.choices(stores, gone));
    if (chosen.kind === "commit") {
      return { ...chosen, diffId: parseDigest(await this.#stores.look(chosen.reference)) };
    }
    return chosen;
  }

  /** Does one thing, or two at once; the first one is interrupted if it has a `part`. */
  async #call(calls: readonly { readonly operation: Operation; readonly part?: number | undefined }[]): Promise<void> {
    const killed = calls[0]?.part === undefined ? [] : this.#stores.storesWith(calls[0].operation);
    const done = await Promise.all(
      calls.map(async ({ operation, part }): Promise<Call> => {
        if (part === undefined) return { operation, answer: await this.#stores.perform(operation) };
        return { operation, answer: await this.#stores.interrupt(operation, part) };
      }),
    );
    if (killed.length > 0) this.#wasKilled = true;
    this.kills.all += killed.length > 0 ? 1 : 0;
    this.kills.interrupted += done.some(({ answer }) => answer === undefined) ? 1 : 0;
    this.#log.push(
      done.map(({ operation, answer = "killed" }) => `${JSON.stringify(operation)}: ${answer}`).join(" with "),
    );
    this.#fits(
      this.#models.flatMap((model) => outcomesOf(model, done, killed)),
      "the answers",
    );
  }

  /** What the stores say that they have, what is on disk, and what the model has. */
  async #compare(): Promise<void> {
    const store = await this.#anyOpen();
    await this.#call([{ operation: { kind: "cleanup", store } }]);
    await this.#call([{ operation: { kind: "list", store } }]);
    const found = await layersOnDisk(this.#disk);
    const fitting = this.#models.filter((model) => expectedOnDisk(model) === found);
    const expected = this.#models.map(expectedOnDisk).join("\nor\n");
    this.#fits(fitting, `on disk\n${found}\ninstead of\n${expected}`);
  }

  /** Releases what is held, and what nobody holds any more. */
  async #drain(): Promise<void> {
    const store = await this.#anyOpen();
    for (const [reference, { mounts }] of this.#model.state.rwReferences) {
      for (let left = mounts; left > 0; left -= 1) await this.#call([{ operation: { kind: "unmount", reference } }]);
      await this.#call([{ operation: { kind: "release", reference } }]);
    }
    for (const name of this.#model.state.rwLayers.keys()) {
      const id = (this.#lastId += 1);
      await this.#call([{ operation: { kind: "getRW", id, store, name } }]);
      await this.#call([{ operation: { kind: "release", reference: id } }]);
    }
    for (const reference of this.#model.state.references.keys()) await this.#readAndRelease(reference);
    // The topmost first: on it nothing stands.
    for (const { chainId } of this.#model.layers.toSorted((a, b) => b.depth - a.depth)) {
      if (!this.#model.state.layers.has(chainId)) continue;
      const id = (this.#lastId += 1);
      await this.#call([{ operation: { kind: "get", id, store, chain: chainId } }]);
      await this.#readAndRelease(id);
    }
  }

  /** After a kill each layer that is left has to be whole. */
  async #readAndRelease(reference: number): Promise<void> {
    if (this.#wasKilled) await this.#call([{ operation: { kind: "tar", reference } }]);
    await this.#call([{ operation: { kind: "release", reference } }]);
  }

  /** The likeliest. */
  get #model(): LayerModel {
    return this.#models[0] ?? new LayerModel();
  }

  #isOpen(store: number): boolean {
    return this.#model.state.stores.has(store);
  }

  async #anyOpen(): Promise<number> {
    const store = stores.find((one) => this.#isOpen(one)) ?? 0;
    if (!this.#isOpen(store)) await this.#call([{ operation: { kind: "open", store } }]);
    return store;
  }

  #fits(models: readonly LayerModel[], what: string): void {
    if (models.length === 0) throw new Error(`not as in the model: ${what}`);
    const before = [...this.#model.state.references.keys()];
    this.#models = [...new Map(models.map((model) => [model.state.text(), model])).values()];
    this.#gone.push(...before.filter((id) => !this.#model.state.references.has(id)));
  }
}

/** Each of two operations may come first, or in the middle of the other; but what is under way in a store that is closed may end in either way. */
function goTogether(model: LayerModel, first: Operation, second: Operation): boolean {
  const pair = [first, second];
  if (pair.some(({ kind }) => kind === "open" || kind === "close" || kind === "cleanup")) return false;
  // A reference that is released while it is used is its owner's mistake, and so is a layer that is written to while it is read.
  const [one, other] = pair.map((operation) => subjectOf(model, operation));
  return one === undefined || one !== other;
}

function subjectOf(model: LayerModel, operation: Operation): string | undefined {
  if (!("reference" in operation)) return undefined;
  return model.state.rwReferences.get(operation.reference)?.name ?? String(operation.reference);
}
