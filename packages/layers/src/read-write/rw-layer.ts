import type { TreeChange } from "@varve/diff";
import type { Digest } from "@varve/digest";
import type { Descriptor } from "@varve/oci";
import type { CallOptions, Layer, LayerArchive, LayerInfo } from "../layer-store.ts";

/** What is known of a read-write layer. */
export interface RWLayerInfo {
  readonly name: string;
  /** Chain ID of the layer that it stands on. */
  readonly parent?: Digest | undefined;
  /** The key of the snapshot that takes the changes. */
  readonly snapshot: string;
}

/** A read-write layer as it was at one moment. */
export interface ListedRWLayer extends RWLayerInfo {
  /** Where living processes have it mounted by `mount`. What others have mounted is theirs to tell, by `snapshot`. */
  readonly mountedOn?: string | undefined;
}

export interface CreateRWLayerOptions extends CallOptions {
  /** Chain ID of the layer below. Default: none, the layer starts empty. */
  readonly parent?: Digest | undefined;
  /**
   * Fills a layer between the parent and this one, which `directory` shows meanwhile. What it makes is seen, but counts as no change
   * and is in no commit: mount points, say, and files that a runtime makes for each container. No id mapping applies to it.
   */
  readonly init?: ((directory: string) => Promise<void>) | undefined;
  /** Given to the snapshotter with the snapshot that takes the changes: options of its own, such as id mappings. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

export interface CommitRWLayerOptions extends CallOptions {
  /** What the new layer is distributed as. It is kept, and not compared with the bytes. */
  readonly descriptor?: Descriptor | undefined;
}

export interface ApplyToRWOptions extends CallOptions {
  /** Called with the bytes of the archive, as it was given, that were consumed so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** An archive that was unpacked into a read-write layer. */
export interface AppliedToRW {
  /** Of the uncompressed archive. */
  readonly diffId: Digest;
  /** Bytes of the contents of its files. */
  readonly contentBytes: number;
}

/**
 * One reference to a read-write layer, for the process that has it. The layer has a name, survives its process and stays, with
 * its parent and all below, until a last reference is *released*: references that ended with their process, or with the
 * `close` of a store, remove nothing.
 *
 * **Mounts.** There is one mount, of all references in all processes of a mount namespace, and it is counted: the first `mount`
 * makes it, the last `unmount` takes it off. What a dead process has mounted does not count. What is mounted and counted by
 * nobody is taken off by a cleanup, unless it is busy, and made new or used as it is by the next `mount`.
 *
 * **Changes** are told against what `init` has made, or else the parent. Nobody may write to the layer meanwhile, mounted or not.
 * Owners are those on disk, without id mappings. All of this, but for `apply`, needs a `comparer`: ERR_NOT_IMPLEMENTED without one.
 *
 * Every call fails with ERR_FAILED_PRECONDITION after `release`, and with ERR_NOT_FOUND if its files are gone; it can be released then, too.
 */
export interface RWLayer extends RWLayerInfo, AsyncDisposable {
  /**
   * Mounts the layer, unless it is, and counts.
   *
   * @returns the directory that shows it
   * @throws ERR_FAILED_PRECONDITION somebody else has it mounted (`mountedOn` of the store)
   */
  mount(options?: CallOptions): Promise<string>;
  /**
   * Takes back one `mount` of this reference.
   *
   * @throws ERR_FAILED_PRECONDITION this reference has not mounted it
   * @throws ERR_UNAVAILABLE it is the last one, and somebody has files open; it stays mounted and counted
   */
  unmount(options?: CallOptions): Promise<void>;
  /**
   * Runs `work` while nobody mounts or removes the layer: for whoever mounts its snapshot himself, on a directory of his own, and
   * tells so by the option `mountedOn` of the store.
   *
   * @throws ERR_FAILED_PRECONDITION a reference has it mounted, or somebody else
   * @throws ERR_UNAVAILABLE a dead process has left it mounted, and somebody has files open there
   * @throws what `work` throws
   */
  whileUnmounted<T>(work: () => Promise<T>, options?: CallOptions): Promise<T>;
  /**
   * Unpacks an archive into the layer, as it would be unpacked on top of what the layer shows: its entries replace what is there,
   * whiteouts and opaque directories take away what is there, be it from below or written before. Owners are stored as they are in
   * the archive, so that the id mappings of the layer apply to them when it is mounted. Nothing is committed or recorded: what
   * was unpacked are changes like any others.
   *
   * Nobody can mount or remove the layer meanwhile. After an error or an abort what was unpacked so far stays, mixed with what was
   * there; the layer can be used, and unpacked into again. A plain iterable is kept in a file until then.
   *
   * @throws ERR_FAILED_PRECONDITION a reference has it mounted, or somebody else
   * @throws ERR_UNAVAILABLE a dead process has left it mounted, and somebody has files open there
   * @throws ERR_INVALID_DATA the archive is malformed, or an entry is hostile
   */
  apply(archive: LayerArchive, options?: ApplyToRWOptions): Promise<AppliedToRW>;
  /** Paths that were added, modified and deleted, in the order of the bytes of the names, a directory before what is in it. */
  changes(options?: CallOptions): AsyncGenerator<TreeChange, void, undefined>;
  /** Bytes of contents of all files that were added or modified, each whole, however many names it has. No content is kept. */
  size(options?: CallOptions): Promise<number>;
  /** The changes as an uncompressed archive. The same changes give the same bytes. A chunk is valid until the next one is asked for. */
  tarStream(options?: CallOptions): AsyncGenerator<Uint8Array, void, undefined>;
  /**
   * Registers the changes as a read-only layer on the parent of this one. This one stays as it is.
   *
   * @throws ERR_FAILED_PRECONDITION the chain would be too deep, or files change meanwhile
   */
  commit(options?: CommitRWLayerOptions): Promise<Layer>;
  /**
   * Gives the reference back. The last one takes the layer with it, its changes included, and then the layers below that nobody
   * has. If that fails half-way it can be repeated, and a cleanup completes it.
   *
   * @returns the read-only layers that were removed, the topmost first
   * @throws ERR_FAILED_PRECONDITION this reference has it mounted, or it is the last one and somebody else has
   */
  release(options?: CallOptions): Promise<readonly LayerInfo[]>;
  /** Takes back the mounts of this reference and releases it, unless that was done. */
  [Symbol.asyncDispose](): Promise<void>;
}
