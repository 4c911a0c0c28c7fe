import type { Limiter, Release } from "@varve/locks";
import type { Settings } from "../options.ts";
import type { BlobSource, Part, Span } from "./blob-source.ts";
import { readStretch } from "./stretch.ts";
import { WaitingBytes } from "./waiting-bytes.ts";

export interface ParallelOptions {
  readonly settings: Settings;
  /** Each connection holds a place. */
  readonly places: Limiter;
  readonly signal: AbortSignal | undefined;
}

/** One range on its way: what has come of it and was not handed on yet. */
interface Range {
  readonly span: Span;
  readonly chunks: WaitingBytes;
  end?: "whole" | "unranged" | { readonly error: unknown } | undefined;
  wake: () => void;
}

/**
 * Yields the bytes of `span` in order, while several connections each get a range of it. A range that is there before its turn
 * waits in memory: as many bytes at most as all connections' ranges have. Where the server ignores ranges, one connection gets
 * everything. Leaving the iteration ends all connections.
 */
export async function* readInParallel(
  source: BlobSource,
  span: Span,
  options: ParallelOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { places, settings, signal } = options;
  const window = new RangeWindow(source, span, options);
  let release: Release | undefined = await places.acquire({ signal });
  try {
    const first = window.nextSpan();
    const part = await source.open(first, { signal: window.signal });
    if (isUnranged(part, first)) {
      yield* readStretch(source, span, { settings, signal, opened: part });
      return;
    }
    window.start(first, { part, release });
    release = undefined;
    const position = yield* window.deliver();
    if (position === span.to) return;
    release = await places.acquire({ signal });
    yield* readStretch(source, { from: position, to: span.to }, { settings, signal });
  } finally {
    release?.();
  }
}

function isUnranged(part: Part, span: Span): boolean {
  return part.start < span.from || part.end > span.to;
}

/** The ranges that are under way, the first to be handed on in front. */
class RangeWindow {
  readonly #source: BlobSource;
  readonly #span: Span;
  readonly #options: ParallelOptions;
  readonly #stop: AbortController = new AbortController();
  /** Ends all connections. */
  readonly signal: AbortSignal;
  readonly #ranges: Range[] = [];
  readonly #running: Set<Promise<void>> = new Set();
  #begun: number;

  constructor(source: BlobSource, span: Span, options: ParallelOptions) {
    this.#source = source;
    this.#span = span;
    this.#options = options;
    this.#begun = span.from;
    const signals = [this.#stop.signal, ...(options.signal === undefined ? [] : [options.signal])];
    this.signal = AbortSignal.any(signals);
  }

  nextSpan(): Span {
    const from = this.#begun;
    this.#begun = Math.min(from + this.#options.settings.rangeSize, this.#span.to);
    return { from, to: this.#begun };
  }

  start(span: Span, opened?: { readonly part: Part; readonly release: Release }): void {
    const range: Range = { span, chunks: new WaitingBytes(), wake: () => undefined };
    this.#ranges.push(range);
    const running = this.#run(range, opened).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Yields everything in order. @returns where it stopped: at the end, or where ranges were ignored all at once */
  async *deliver(): AsyncGenerator<Uint8Array, number, undefined> {
    try {
      for (;;) {
        this.#fill();
        const [range] = this.#ranges;
        if (range === undefined) return this.#span.to;
        yield* delivered(range);
        if (range.end === "unranged") return range.span.from;
        if (typeof range.end === "object") throw range.end.error;
        this.#ranges.shift();
      }
    } finally {
      this.#stop.abort();
      await Promise.all(this.#running);
    }
  }

  #fill(): void {
    while (this.#ranges.length < this.#options.settings.connectionsPerBlob && this.#begun < this.#span.to) {
      this.start(this.nextSpan());
    }
  }

  /** Never rejects: a failure is kept until the bytes before it have been handed on. */
  async #run(range: Range, opened: { readonly part: Part; readonly release: Release } | undefined): Promise<void> {
    const { places, settings } = this.#options;
    const { signal } = this;
    let release = opened?.release;
    try {
      release ??= await places.acquire({ signal });
      const part = opened?.part ?? (await this.#source.open(range.span, { signal }));
      if (isUnranged(part, range.span)) {
        await part.reply.discard();
        range.end = "unranged";
        return;
      }
      for await (const chunk of readStretch(this.#source, range.span, { settings, signal, opened: part })) {
        range.chunks.push(chunk);
        range.wake();
      }
      range.end = "whole";
    } catch (error) {
      range.end = { error };
    } finally {
      release?.();
      range.wake();
    }
  }
}

async function* delivered(range: Range): AsyncGenerator<Uint8Array, void, undefined> {
  for (;;) {
    const chunk = range.chunks.shift();
    if (chunk !== undefined) yield chunk;
    else if (range.end !== undefined) return;
    else await new Promise<void>((resolve) => (range.wake = resolve));
  }
}
