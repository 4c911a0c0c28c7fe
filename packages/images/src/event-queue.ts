import type { ProgressEvent } from "./progress.ts";

// What a newer event of the kind makes worthless.
const replaced: ReadonlySet<ProgressEvent["type"]> = new Set([
  "waiting",
  "resumed",
  "fetching",
  "applying",
  "applied",
  "pushing",
  "retry",
] as const);

/** Events that nobody has taken yet, in order. Old news makes room: it holds a few for each object, however many are put in. */
export class EventQueue {
  /** By what a newer event replaces; a `Map` keeps the order in which its keys came. */
  readonly #events: Map<string, ProgressEvent> = new Map();
  #count = 0;

  push(event: ProgressEvent): void {
    if (!("descriptor" in event) || !replaced.has(event.type)) {
      this.#count += 1;
      this.#events.set(`#${this.#count}`, event);
      return;
    }
    const chainId = "chainId" in event ? event.chainId : undefined;
    const object = `${chainId ?? ""} ${event.descriptor.digest}`;
    // Bytes of an earlier attempt, seen without the retry before them, would seem to go back.
    if (event.type === "retry") for (const type of replaced) this.#events.delete(`${type} ${object}`);
    const key = `${event.type} ${object}`;
    // To the end: what is taken is what happened, with gaps.
    this.#events.delete(key);
    this.#events.set(key, event);
  }

  shift(): ProgressEvent | undefined {
    const [first] = this.#events;
    if (first === undefined) return undefined;
    this.#events.delete(first[0]);
    return first[1];
  }

  clear(): void {
    this.#events.clear();
  }
}
