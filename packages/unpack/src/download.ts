import type { Digest } from "@varve/digest";
import type { OnProgress, WaitCause } from "@varve/images";
import type { KeyedLock, Limiter } from "@varve/locks";
import type { Descriptor } from "@varve/oci";
import { withSubject } from "./subject.ts";
import { traced } from "./traces.ts";

export interface FetchLayerOptions {
  /** Rejects the fetch with the signal's own reason. */
  readonly signal: AbortSignal;
  /**
   * To be called when the layer's ingest can be followed under `ref`, from its first byte, before or while bytes arrive.
   * Calling again is allowed. A fetch that finds the blob in the store never calls it.
   */
  readonly onIngest: (ref: string) => void;
}

/** Brings one layer's blob into the content store. It resolves when the blob is there, verified and visible. */
export type FetchLayer = (layer: Descriptor, options: FetchLayerOptions) => Promise<void>;

/** One blob on its way into the store. */
export interface Download {
  /**
   * The ref of the ingest that can be followed, as soon as there is one; `undefined` when the blob is in the store.
   * Rejects when the download failed before either.
   */
  readonly opened: Promise<string | undefined>;
  /** Resolves when the blob is in the store. */
  readonly done: Promise<void>;
  /** Whether the blob is in the store by now: `opened` may name an ingest that is no more. */
  readonly stored: boolean;
}

export interface DownloadsOptions {
  readonly fetch: FetchLayer;
  readonly limiter: Limiter;
  /** One transfer of a blob at a time, over all unpackers that share the locks. */
  readonly locks: KeyedLock;
  readonly onProgress: OnProgress | undefined;
  readonly signal: AbortSignal;
}

interface Entry extends Download {
  readonly layer: Descriptor;
  readonly stop: AbortController;
  readonly opening: PromiseWithResolvers<string | undefined>;
  /** How many layers still want it. */
  users: number;
  stored: boolean;
}

/** The layers of one image that are being fetched; a digest that occurs twice is fetched once. */
export class Downloads {
  readonly #options: DownloadsOptions;
  readonly #entries: Map<Digest, Entry> = new Map();

  constructor(options: DownloadsOptions) {
    this.#options = options;
  }

  /** Starts the download of a layer, or joins the one that was started. Earlier calls get the limiter's slots first. */
  start(layer: Descriptor): Download {
    const known = this.#entries.get(layer.digest);
    if (known !== undefined) {
      known.users += 1;
      return known;
    }
    const stop = new AbortController();
    const opening = Promise.withResolvers<string | undefined>();
    const pending = { layer, stop, opening, opened: opening.promise, users: 1, stored: false };
    const entry: Entry = Object.assign(pending, { done: this.#transfer(pending) });
    this.#entries.set(layer.digest, entry);
    entry.done.then(
      () => {
        entry.stored = true;
        return opening.resolve(undefined);
      },
      (error: unknown) => {
        opening.reject(error);
        // One failure ends all (U-UNP.17); one that was stopped from here is not another failure.
        if (!stop.signal.aborted) this.stop(error);
      },
    );
    // Nobody may be waiting for this one when another fails first.
    entry.opened.catch(() => {});
    return entry;
  }

  /** One layer does not need its blob any more: if nobody else does and the transfer has not begun, there will be none. */
  release(layer: Descriptor): void {
    const entry = this.#entries.get(layer.digest);
    if (entry !== undefined) entry.users -= 1;
  }

  /** Aborts every download but those that are still needed. */
  stop(reason: unknown, needed: ReadonlySet<Digest> = new Set()): void {
    for (const [digest, entry] of this.#entries) if (!needed.has(digest)) entry.stop.abort(reason);
  }

  /** Resolves when no download runs any more, whatever came of them. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#entries.values()].map((entry) => entry.done));
  }

  #transfer(entry: Omit<Entry, "done" | "stored">): Promise<void> {
    const { fetch, limiter, locks, onProgress } = this.#options;
    const signal = AbortSignal.any([this.#options.signal, entry.stop.signal]);
    const transfer = async (): Promise<void> => {
      if (entry.users === 0) return;
      try {
        await traced({ phase: "fetch", descriptor: entry.layer }, () =>
          fetch(entry.layer, { signal, onIngest: entry.opening.resolve }),
        );
      } catch (error) {
        throw withSubject(error, `layer ${entry.layer.digest}: failed to fetch`, signal);
      }
    };
    const tell = (cause: WaitCause, reason: string) => (): void =>
      onProgress?.({ type: "waiting", descriptor: entry.layer, for: cause, reason });
    const place = { signal, group: this, onWait: tell("place", "a place to be fetched") };
    return locks.run(blobKey(entry.layer.digest), () => limiter.run(transfer, place), {
      signal,
      onWait: tell("other", "another download of the same blob"),
    });
  }
}

/** The key under which a blob is fetched or handled. */
export function blobKey(digest: Digest): string {
  return `blob://${digest}`;
}
