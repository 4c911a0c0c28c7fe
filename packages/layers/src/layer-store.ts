import type { Digest } from "@varve/digest";
import type { Descriptor } from "@varve/oci";
import type { CreateRWLayerOptions, ListedRWLayer, RWLayer } from "./read-write/rw-layer.ts";

export interface CallOptions {
  /** Rejects with the signal's own reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What is known of a layer. */
export interface LayerInfo {
  /** Of this layer and all below it, and the name of its snapshot (OCI image-spec, config.md, "Layer ChainID"). */
  readonly chainId: Digest;
  /** Of the uncompressed archive. */
  readonly diffId: Digest;
  /** Chain ID of the layer below. */
  readonly parent?: Digest | undefined;
  /** What it was distributed as, if that was said when it was registered. */
  readonly descriptor?: Descriptor | undefined;
  /** Layers of the chain: 1 without a parent. */
  readonly depth: number;
  /** Bytes of file contents in this layer. */
  readonly diffSize: number;
  /** Bytes of file contents in this layer and all below it. */
  readonly size: number;
}

/**
 * One reference to a layer, for the process that has it. The layer and all below it stay at least until it is released, the
 * process ends, or the store is closed.
 */
export interface Layer extends LayerInfo, AsyncDisposable {
  /**
   * The archive that was registered, bit for bit, from the files and what was recorded beside them. A chunk is valid until the next
   * one is asked for. The layer is mounted meanwhile.
   *
   * @throws ERR_DATA_LOSS a file has changed or is gone, or the records have; what came before it must not be used either
   * @throws ERR_FAILED_PRECONDITION the reference was released
   */
  tarStream(options?: CallOptions): AsyncGenerator<Uint8Array, void, undefined>;
  /**
   * An archive of all that changes from a layer further down to this one, as a comparison of the two sees it: not of bytes that were
   * registered, but the same each time. A chunk is valid until the next one is asked for.
   *
   * @param ancestor chain ID; default: none, everything that this layer shows
   * @throws ERR_INVALID_ARGUMENT this layer does not stand on `ancestor` (S1.73)
   * @throws ERR_NOT_IMPLEMENTED the store has no comparer
   * @throws ERR_FAILED_PRECONDITION the reference was released
   */
  tarStreamFrom(ancestor?: Digest, options?: CallOptions): AsyncGenerator<Uint8Array, void, undefined>;
  /**
   * Gives the reference back. The last one takes the layer with it, and then those below that nobody has.
   *
   * @returns what was removed, the topmost first
   * @throws ERR_FAILED_PRECONDITION it was released before
   */
  release(options?: CallOptions): Promise<readonly LayerInfo[]>;
  /** Releases, unless that was done. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** An archive, compressed or not: its bytes, or what gives them from the first one on each time it is asked. */
export type LayerArchive = AsyncIterable<Uint8Array> | (() => AsyncIterable<Uint8Array>);

export interface RegisterOptions extends CallOptions {
  /** Chain ID of the layer below. Default: none. */
  readonly parent?: Digest | undefined;
  /** What the layer is distributed as. It is kept, and not compared with the bytes. */
  readonly descriptor?: Descriptor | undefined;
  /** Called with the bytes of the archive, as it was given, that were consumed so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/**
 * Layers by chain ID, over any snapshotter, in the manner of moby's layer store.
 *
 * **References.** A layer stays while anybody has a reference to it, or a layer stands on it. References belong to processes and
 * end with them, but nothing is removed then: a layer that nobody refers to stays, too, until a last reference is released.
 *
 * **Sharing.** Several processes may open one store. Who registers what is there gets a reference to that, at the same time or
 * later. A snapshot of the same name that somebody else has committed is used as it is.
 *
 * **Kill and power cut.** What was registered and removed stays so. What was under way leaves litter that the next open or
 * `cleanup` removes.
 */
export interface LayerStore extends AsyncDisposable {
  /**
   * Unpacks an archive on top of its parent and gives a reference to the layer. The bytes of a plain iterable are kept in a file
   * until the layer is registered, since some archives have to be read twice; those of a function are asked for again.
   *
   * @throws ERR_NOT_FOUND there is no such parent
   * @throws ERR_FAILED_PRECONDITION the chain would be deeper than `maxDepth`
   * @throws ERR_INVALID_DATA the archive is malformed, or an entry is hostile
   */
  register(archive: LayerArchive, options?: RegisterOptions): Promise<Layer>;
  /**
   * Another reference to a layer.
   *
   * @throws ERR_NOT_FOUND no such layer
   * @throws ERR_DATA_LOSS the layer is known, but its snapshot is gone: it can be registered again, or removed
   */
  get(chainId: Digest, options?: CallOptions): Promise<Layer>;
  /**
   * Removes a layer that nobody refers to, and then those below that nobody has. Nothing of it is read: it may be damaged or lost.
   *
   * @returns what was removed, the topmost first
   * @throws ERR_NOT_FOUND no such layer
   * @throws ERR_FAILED_PRECONDITION somebody refers to it, in whichever process, or a layer stands on it
   */
  remove(chainId: Digest, options?: CallOptions): Promise<readonly LayerInfo[]>;
  /** What is known of a layer, without a reference. @throws ERR_NOT_FOUND no such layer */
  stat(chainId: Digest, options?: CallOptions): Promise<LayerInfo>;
  /** All layers, by chain ID, without references to them. */
  list(options?: CallOptions): AsyncIterable<LayerInfo>;
  /**
   * Makes a read-write layer, which stays until a last reference to it is released. If that fails, nothing of it is left.
   *
   * @param name any text but the empty one
   * @throws ERR_ALREADY_EXISTS the name is in use
   * @throws ERR_NOT_FOUND there is no such parent
   * @throws what `init` throws
   */
  createRWLayer(name: string, options?: CreateRWLayerOptions): Promise<RWLayer>;
  /** Another reference to a read-write layer. @throws ERR_NOT_FOUND no such read-write layer */
  getRWLayer(name: string, options?: CallOptions): Promise<RWLayer>;
  /** All read-write layers, by name, and where they are mounted, without references to them. */
  listRWLayers(options?: CallOptions): AsyncIterable<ListedRWLayer>;
  /** Removes what killed processes and failed removals have left, as the open does. */
  cleanup(options?: CallOptions): Promise<void>;
  /**
   * Aborts what is being registered and read (ERR_ABORTED), ends this store's references and takes off what they have mounted,
   * unless it is busy; no layer is removed. Closing twice is allowed.
   */
  close(): Promise<void>;
}
