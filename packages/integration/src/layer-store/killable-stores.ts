import { setTimeout as sleep } from "node:timers/promises";
import type { Answer, Operation } from "./layer-operation.ts";
import { LayerProcess } from "./layer-process.ts";
import type { LayerProcessOptions } from "./layer-process.ts";

/** Which process has which store: two share one, and its locks. */
const processOf = [0, 0, 1];
export const stores: readonly number[] = processOf.map((_, store) => store);

/** Three stores in one root, in two processes that can be killed. */
export class KillableStores implements AsyncDisposable {
  readonly #options: LayerProcessOptions;
  readonly #processes: LayerProcess[];
  /** In which process each reference is. */
  readonly #holders = new Map<number, number>();
  /** Milliseconds that the last operation of a kind took. */
  readonly #durations = new Map<string, number>();
  /** Takes the place of the next one that is killed: a process takes longer to start than many operations. */
  #spare: Promise<LayerProcess>;

  private constructor(options: LayerProcessOptions, processes: LayerProcess[]) {
    this.#options = options;
    this.#processes = processes;
    this.#spare = LayerProcess.start(options);
  }

  static async start(options: LayerProcessOptions): Promise<KillableStores> {
    return new KillableStores(options, [await LayerProcess.start(options), await LayerProcess.start(options)]);
  }

  async perform(operation: Operation): Promise<Answer> {
    const holder = this.#holderOf(operation);
    if ("id" in operation) this.#holders.set(operation.id, holder);
    const since = performance.now();
    const answer = await this.#process(holder).perform(operation);
    this.#durations.set(operation.kind, performance.now() - since);
    return answer;
  }

  look(reference: number): Promise<string> {
    return this.#process(this.#holders.get(reference)).look(reference);
  }

  /** The stores that are killed with whoever does this, and so the references that are gone then. */
  storesWith(operation: Operation): readonly number[] {
    const holder = this.#holderOf(operation);
    return stores.filter((store) => processOf[store] === holder);
  }

  /**
   * Kills the process that does this in the middle of it, or before it, or after it.
   *
   * @param part how much of the time that the last one of its kind took it has for it
   * @returns what it has answered, if it has
   */
  async interrupt(operation: Operation, part: number): Promise<Answer | undefined> {
    const holder = this.#holderOf(operation);
    const process = this.#process(holder);
    let answer: Answer | undefined;
    let failure: unknown;
    let isKilled = false;
    const answering = process.perform(operation).then(
      (said) => (answer = said),
      (error: unknown) => (failure = isKilled ? undefined : error),
    );
    await sleep(part * (this.#durations.get(operation.kind) ?? 0));
    isKilled = true;
    await process.kill();
    await answering;
    if (failure !== undefined) throw failure;
    this.#processes[holder] = await this.#spare;
    this.#spare = LayerProcess.start(this.#options);
    for (const [id, of] of this.#holders) if (of === holder) this.#holders.delete(id);
    return answer;
  }

  /** Whether a process has, or had, such a reference. */
  knows(reference: number): boolean {
    return this.#holders.has(reference);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of [...this.#processes, await this.#spare]) await process.kill();
  }

  #holderOf(operation: Operation): number {
    const holder = "reference" in operation ? this.#holders.get(operation.reference) : processOf[operation.store];
    if (holder === undefined) throw new Error(`nobody can ${JSON.stringify(operation)}`);
    return holder;
  }

  #process(holder: number | undefined): LayerProcess {
    const found = this.#processes[holder ?? -1];
    if (found === undefined) throw new Error(`no process ${holder}`);
    return found;
  }
}
