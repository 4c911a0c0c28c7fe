import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { digestOf } from "@varve/digest";
import type { Layer, LayerStore, RWLayer } from "@varve/layers";
import { codeOf } from "../faults/codes.ts";
import { listed } from "../faults/listed.ts";
import {
  changesAnswer,
  layerAnswer,
  listAnswer,
  nothing,
  removedAnswer,
  rwAnswer,
  tarAnswer,
} from "./layer-operation.ts";
import type { Answer, Creation, Operation, Registration, Write } from "./layer-operation.ts";
import { bytesOf, once } from "./layer-store-scene.ts";
import { tinyArchive } from "./tiny-archives.ts";

type OnStore = Extract<Operation, { store: number }>;
type OnReference = Extract<Operation, { reference: number }>;

/** What may come of an operation. Any other error is a failure. */
const expected: ReadonlySet<unknown> = new Set([
  "ERR_ALREADY_EXISTS",
  "ERR_FAILED_PRECONDITION",
  "ERR_INVALID_DATA",
  "ERR_NOT_FOUND",
]);

/** Carries out operations on real stores. */
export class LayerHands {
  readonly #openStore: () => Promise<LayerStore>;
  /** Closed ones stay until they are opened again: their answers count, too. */
  readonly #stores = new Map<number, LayerStore>();
  readonly #layers = new Map<number, Layer>();
  readonly #rwLayers = new Map<number, RWLayer>();

  constructor(openStore: () => Promise<LayerStore>) {
    this.#openStore = openStore;
  }

  async perform(operation: Operation): Promise<Answer> {
    try {
      return await ("reference" in operation ? this.#withReference(operation) : this.#withStore(operation));
    } catch (error) {
      if (!expected.has(codeOf(error))) throw error;
      return String(codeOf(error));
    }
  }

  /** What a commit would have as its diff ID. */
  async look(reference: number): Promise<string> {
    const layer = this.#rwLayers.get(reference);
    if (layer === undefined) throw new Error(`no reference ${reference}`);
    return digestOf(await bytesOf(layer.tarStream()));
  }

  async #withStore(operation: OnStore): Promise<Answer> {
    const { store } = operation;
    if (operation.kind === "open") {
      this.#stores.set(store, await this.#openStore());
      return nothing;
    }
    const open = this.#stores.get(store);
    if (open === undefined) return "ERR_FAILED_PRECONDITION";
    if (operation.kind === "stat") return layerAnswer(await open.stat(operation.chain));
    if (operation.kind === "get") return this.#take(operation.id, await open.get(operation.chain));
    if (operation.kind === "register") return this.#take(operation.id, await register(open, operation));
    if (operation.kind === "create") return this.#takeRW(operation.id, await create(open, operation));
    if (operation.kind === "getRW") return this.#takeRW(operation.id, await open.getRWLayer(operation.name));
    // To close it again is no error, and so would not tell.
    const all = listAnswer(
      (await listed(open.list())).map(layerAnswer),
      (await listed(open.listRWLayers())).map(({ name, parent }) => rwAnswer(name, parent)),
    );
    if (operation.kind === "list") return all;
    await (operation.kind === "close" ? open.close() : open.cleanup());
    return nothing;
  }

  async #withReference(operation: OnReference): Promise<Answer> {
    const rw = this.#rwLayers.get(operation.reference);
    if (rw !== undefined) return this.#withRW(rw, operation);
    const layer = this.#layers.get(operation.reference);
    if (layer === undefined) throw new Error(`no reference ${operation.reference}`);
    if (operation.kind === "release") return removedAnswer(await layer.release());
    return tarAnswer(digestOf(await bytesOf(layer.tarStream())));
  }

  async #withRW(layer: RWLayer, operation: OnReference): Promise<Answer> {
    const { kind } = operation;
    if (kind === "release") return removedAnswer(await layer.release());
    if (kind === "commit") return this.#take(operation.id, await layer.commit());
    if (kind === "changes") return changesOf(layer);
    if (kind === "write") await write(layer, operation);
    else if (kind === "mount") await layer.mount();
    else await layer.unmount();
    return nothing;
  }

  #take(id: number, layer: Layer): Answer {
    this.#layers.set(id, layer);
    return layerAnswer(layer);
  }

  #takeRW(id: number, layer: RWLayer): Answer {
    this.#rwLayers.set(id, layer);
    return rwAnswer(layer.name, layer.parent);
  }
}

/** Half of the archives come from a stream that can be read once. */
function register(store: LayerStore, { archive, id, parent }: Registration): Promise<Layer> {
  const { given } = tinyArchive(archive);
  return store.register(id % 2 === 0 ? once(given) : () => once(given), { parent });
}

function create(store: LayerStore, { hasInit, name, parent }: Creation): Promise<RWLayer> {
  return store.createRWLayer(name, { parent, init: hasInit ? fillInit : undefined });
}

async function fillInit(root: string): Promise<void> {
  await writeFile(join(root, "made-by-init"), "no change");
}

async function write(layer: RWLayer, { bytes, file }: Write): Promise<void> {
  const root = await layer.mount();
  try {
    await writeFile(join(root, file), "x".repeat(bytes));
  } finally {
    await layer.unmount();
  }
}

async function changesOf(layer: RWLayer): Promise<Answer> {
  const paths = (await listed(layer.changes())).map(({ path }) => path.toString());
  // The time of the root.
  const files = paths.filter((path) => path !== "");
  return changesAnswer(files.toSorted(), await layer.size());
}
