import { digestOf } from "@varve/digest";
import type { Layer, LayerInfo, LayerStore } from "@varve/layers";
import { codeOf } from "../faults/codes.ts";
import { listed } from "../faults/listed.ts";
import { layerAnswer, nothing, removedAnswer, tarAnswer } from "./layer-operation.ts";
import type { Answer, Operation } from "./layer-operation.ts";
import { bytesOf, once } from "./layer-store-scene.ts";
import { tinyArchive } from "./tiny-archives.ts";

type Registration = Extract<Operation, { kind: "register" }>;

/** Carries out operations on real stores. */
export class LayerHands {
  readonly #openStore: () => Promise<LayerStore>;
  /** Closed ones stay until they are opened again: their answers count, too. */
  readonly #stores = new Map<number, LayerStore>();
  readonly #layers = new Map<number, Layer>();

  constructor(openStore: () => Promise<LayerStore>) {
    this.#openStore = openStore;
  }

  async perform(operation: Operation): Promise<Answer> {
    try {
      return await ("reference" in operation
        ? this.#withLayer(operation.kind, operation.reference)
        : this.#withStore(operation));
    } catch (error) {
      const code = codeOf(error);
      if (typeof code === "string" && code.startsWith("ERR_")) return expected.has(code) ? code : String(error);
      throw error;
    }
  }

  async list(store: number): Promise<readonly LayerInfo[]> {
    return listed(this.#store(store).list());
  }

  /** Forgets the references of earlier operations. */
  forget(): void {
    this.#layers.clear();
  }

  async #withStore(operation: Exclude<Operation, { reference: number }>): Promise<Answer> {
    const { store } = operation;
    if (operation.kind === "open") {
      this.#stores.set(store, await this.#openStore());
      return nothing;
    }
    const open = this.#store(store);
    if (operation.kind === "stat") return layerAnswer(await open.stat(operation.chain));
    if (operation.kind === "get") return this.#take(operation.id, await open.get(operation.chain));
    if (operation.kind === "register") return this.#take(operation.id, await register(open, operation));
    // To close it again is no error, and so would not tell.
    await listed(open.list());
    await open.close();
    return nothing;
  }

  async #withLayer(kind: "release" | "tar", reference: number): Promise<Answer> {
    const layer = this.#layers.get(reference);
    if (layer === undefined) throw new Error(`no reference ${reference}`);
    if (kind === "release") return removedAnswer(await layer.release());
    return tarAnswer(digestOf(await bytesOf(layer.tarStream())));
  }

  #take(id: number, layer: Layer): Answer {
    this.#layers.set(id, layer);
    return layerAnswer(layer);
  }

  #store(store: number): LayerStore {
    const found = this.#stores.get(store);
    if (found === undefined) throw new Error(`no store ${store}`);
    return found;
  }
}

/** What may come of an operation. Any other error is told in full. */
const expected: ReadonlySet<string> = new Set(["ERR_FAILED_PRECONDITION", "ERR_INVALID_DATA", "ERR_NOT_FOUND"]);

/** Half of the archives come from a stream that can be read once. */
function register(store: LayerStore, { archive, id, parent }: Registration): Promise<Layer> {
  const { given } = tinyArchive(archive);
  return store.register(id % 2 === 0 ? once(given) : () => once(given), { parent });
}
