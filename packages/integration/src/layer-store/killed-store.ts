import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { LayerModel } from "./layer-model.ts";
import type { Answer, Operation } from "./layer-operation.ts";
import { mustBeWhole, openLayerWorld } from "./layer-world.ts";
import type { Backend } from "./layer-store-scene.ts";

const program = join(import.meta.dirname, "layer-store-child.ts");

export interface KilledStoreOptions {
  readonly backend: Backend;
  /** Where the store is, and what Node has compiled. */
  readonly base: string;
}

interface Word {
  readonly ready?: number;
  readonly begun?: Operation;
  readonly answer?: Answer;
}

/** When a process is killed. No clock decides what it has done by then: a slow machine would have done nothing. */
export interface Kill {
  /** While it does this operation, counted from one, or one of the next. */
  readonly operation: number;
  /** How much of the time that some earlier operation took it has for that, from 0 to 1. */
  readonly part: number;
}

/** What became of one process. */
export interface Killed {
  readonly acknowledged: number;
  /** What it was about to do. */
  readonly last: Operation | undefined;
}

/** One store, on which process after process is killed, held against a model of what each has acknowledged. */
export class KilledStore {
  readonly #backend: Backend;
  readonly #root: string;
  readonly #environment: NodeJS.ProcessEnv;
  /** Milliseconds that operations took, of all processes. */
  readonly #durations: number[] = [];
  #model = new LayerModel();

  constructor({ backend, base }: KilledStoreOptions) {
    this.#backend = backend;
    this.#root = join(base, "store");
    this.#environment = { ...process.env, NODE_COMPILE_CACHE: join(base, "compiled") };
  }

  /** Throws what is wrong then, with what the process has said. */
  async kill(seed: number, kill: Kill): Promise<Killed> {
    const words = await this.#run(seed, kill);
    try {
      return await this.#look(words);
    } catch (error) {
      const said = words.map((word) => JSON.stringify(word)).join("\n");
      throw new Error(`${String(error)}\nafter\n${said}`, { cause: error });
    }
  }

  async #run(seed: number, { operation, part }: Kill): Promise<Word[]> {
    const child = spawn(process.execPath, [program, this.#backend, this.#root, String(seed)], {
      env: this.#environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const closed = once(child, "close");
    const complaints = text(child.stderr);
    const words: Word[] = [];
    let timer: NodeJS.Timeout | undefined;
    let begun = 0;
    let since = 0;
    createInterface(child.stdout).on("line", (line) => {
      const word: Word = JSON.parse(line);
      words.push(word);
      if (word.answer !== undefined) this.#durations.push(performance.now() - since);
      if (word.begun === undefined) return;
      since = performance.now();
      begun += 1;
      if (begun === operation) timer = setTimeout(() => child.kill("SIGKILL"), part * this.#duration(seed));
    });
    const [, signal] = await closed;
    clearTimeout(timer);
    if (signal !== "SIGKILL") throw new Error(`the process ended by itself: ${await complaints}`);
    return words;
  }

  #duration(seed: number): number {
    return this.#durations[seed % this.#durations.length] ?? 0;
  }

  async #look(words: readonly Word[]): Promise<Killed> {
    const model = this.#model.withoutProcesses();
    let acknowledged = 0;
    let last: Operation | undefined;
    for (const { answer, begun } of words) {
      last = begun ?? last;
      if (answer === undefined || last === undefined) continue;
      const expected = model.perform(last);
      if (answer !== expected) throw new Error(`${JSON.stringify(last)}: ${answer}\ninstead of ${expected}`);
      acknowledged += 1;
      last = undefined;
    }
    const outcomes = [model.withoutProcesses()];
    if (last !== undefined) model.perform(last);
    outcomes.push(model.withoutProcesses());
    const found = namesOf(await this.#whole());
    const outcome = outcomes.find(({ layers }) => namesOf(layers) === found);
    if (outcome === undefined) {
      throw new Error(`layers ${found}\ninstead of ${outcomes.map(({ layers }) => namesOf(layers)).join("\nor ")}`);
    }
    this.#model = outcome;
    return { acknowledged, last };
  }

  async #whole(): Promise<LayerModel["layers"]> {
    const world = await openLayerWorld(this.#backend, this.#root);
    try {
      return await mustBeWhole(world);
    } finally {
      await world[Symbol.asyncDispose]();
    }
  }
}

function namesOf(layers: LayerModel["layers"]): string {
  return layers.map(({ chainId }) => chainId).join(", ");
}
