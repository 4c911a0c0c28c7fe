import type { BlobReader, CallOptions, ContentStore } from "@varve/content";

/** A store that has no more than that. */
export function partOf(
  content: ContentStore,
  names: readonly (keyof ContentStore)[],
  more: Partial<ContentStore> = {},
): ContentStore {
  const methods = names.map((name) => [name, (content[name] as () => unknown).bind(content)] as const);
  return { ...Object.fromEntries(methods), ...more } as ContentStore;
}

/** A store for reading, and what it was asked for. */
export interface WatchedStore {
  readonly content: ContentStore;
  /** How often it was asked about a blob. */
  readonly infos: number;
  /** How many blobs were opened. */
  readonly opened: number;
  /** How many of them are not closed. */
  readonly open: number;
  /** Settles when no blob is open. */
  closed(): Promise<void>;
  /** From where so many bytes were read. */
  readonly reads: readonly { readonly position: number; readonly size: number }[];
}

export interface WatchOptions {
  /** Waited for before each read. */
  readonly beforeRead?: ((position: number, signal: AbortSignal | undefined) => Promise<void>) | undefined;
}

export function watch(inner: ContentStore, { beforeRead }: WatchOptions = {}): WatchedStore {
  const open = new Set<BlobReader>();
  const reads: { position: number; size: number }[] = [];
  let [infos, opened] = [0, 0];
  let onClosed: (() => void) | undefined;
  const reporting = (reader: BlobReader): BlobReader => ({
    size: reader.size,
    stream: (range) => reader.stream(range),
    read: async (target: Uint8Array, position: number, options: CallOptions = {}) => {
      reads.push({ position, size: target.byteLength });
      await beforeRead?.(position, options.signal);
      return reader.read(target, position, options);
    },
    close: async () => {
      await reader.close();
      open.delete(reader);
      if (open.size === 0) onClosed?.();
    },
    [Symbol.asyncDispose]: () => reader.close(),
  });
  const content = partOf(inner, ["delete"], {
    info: (digest, options) => {
      infos += 1;
      return inner.info(digest, options);
    },
    open: async (descriptor, options) => {
      const reader = await inner.open(descriptor, options);
      opened += 1;
      open.add(reader);
      return reporting(reader);
    },
  });
  return {
    content,
    reads,
    get infos() {
      return infos;
    },
    get opened() {
      return opened;
    },
    get open() {
      return open.size;
    },
    closed: () =>
      new Promise((resolve) => {
        onClosed = resolve;
        if (open.size === 0) resolve();
      }),
  };
}
