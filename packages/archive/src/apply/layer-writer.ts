import { CodedError } from "@varve/errors";
import { EntryWriter } from "./entry-writer.ts";
import { finishDirectories } from "./finish-directories.ts";
import { AttributeWriter } from "./attributes.ts";
import { defaultSubject, overLimit, placed } from "../entry-error.ts";
import { checkMappings, IdMapper } from "./id-mapper.ts";
import { LayerTree } from "./layer-tree.ts";
import { withDefaults } from "./limits.ts";
import { MergedTarget } from "./merged-target.ts";
import type { TarEntry } from "../tar/tar-entry.ts";
import type { TarHandler, TarReader } from "../tar/tar-handler.ts";
import { createTarReader } from "../tar/tar-reader.ts";
import type { Target } from "./target.ts";
import type { ApplyResult, LayerLimits, LayerWriter, LayerWriterOptions } from "./types.ts";
import { UpperTarget } from "./upper-target.ts";
import { XattrWriter } from "./xattr-writer.ts";

/**
 * Starts to write a layer into the directory `root`, by the rules of the OCI image specification (layer.md): whiteouts
 * concern what lower layers left, wherever they stand in the archive. Nothing outside the root is touched or followed.
 * A write that throws closes the writer; what was written so far stays.
 *
 * @throws ERR_INVALID_ARGUMENT `idMappings` are no mappings, or cannot go with `ownership`
 * @throws ERR_FAILED_PRECONDITION the target is `overlay` and the root is not empty
 * @throws ERR_NOT_IMPLEMENTED the system calls are missing: not Linux
 */
export function createLayerWriter(root: string, options: LayerWriterOptions = {}): LayerWriter {
  const limits = withDefaults(options.limits);
  const ownership = options.ownership ?? "keep";
  checkMappings(options.idMappings, ownership);
  const tree = new LayerTree(root, limits, ownership !== "keep");
  try {
    const overlay = options.target === "overlay";
    const target = overlay ? new UpperTarget(tree, options.userxattr ?? false) : new MergedTarget(tree);
    return new Writer(tree, target, limits, options);
  } catch (error) {
    tree.close();
    throw error;
  }
}

class Writer implements LayerWriter, TarHandler {
  readonly #tree: LayerTree;
  readonly #target: Target;
  readonly #limits: LayerLimits;
  readonly #filter: (entry: TarEntry) => boolean;
  readonly #attributes: AttributeWriter;
  readonly #xattrs: XattrWriter;
  readonly #subject: string;
  readonly #writer: EntryWriter;
  readonly #reader: TarReader;
  #open = true;
  #entries = 0;
  #bytes = 0;
  #filtered = 0;
  /** The entry that is being written. */
  #entry: TarEntry | undefined;

  constructor(tree: LayerTree, target: Target, limits: LayerLimits, options: LayerWriterOptions) {
    this.#tree = tree;
    this.#target = target;
    this.#limits = limits;
    this.#filter = options.filter ?? (() => true);
    this.#subject = options.subject ?? defaultSubject;
    const ownership = options.ownership ?? "keep";
    const ids = new IdMapper(options.idMappings);
    this.#xattrs = new XattrWriter(ownership, ids, limits.xattrs);
    this.#attributes = new AttributeWriter(ownership, ids, this.#xattrs);
    this.#writer = new EntryWriter(tree, target, this.#attributes, this.#xattrs, options.devices !== "skip");
    this.#reader = createTarReader(this, { headerBytes: limits.headerBytes, subject: this.#subject });
  }

  write(block: Uint8Array): void {
    this.#guard(() => {
      this.#reader.write(block);
    });
  }

  end(): ApplyResult {
    return this.#guard(() => {
      this.#reader.end();
      if (this.#target.redo === undefined) finishDirectories(this.#tree, this.#attributes, this.#xattrs, this.#subject);
      const questions = this.#target.questions();
      this.abort();
      const skipped = {
        xattrs: this.#xattrs.skipped,
        devices: this.#writer.skippedDevices,
        owners: this.#attributes.lostOwners,
        filtered: this.#filtered,
      };
      return { entries: this.#entries, bytes: this.#bytes, skipped, questions };
    });
  }

  abort(): void {
    if (!this.#open) return;
    this.#open = false;
    try {
      this.#writer.close();
    } finally {
      this.#tree.close();
    }
  }

  entry(entry: TarEntry): void {
    this.#entry = entry;
    this.#entries += 1;
    this.#bytes += entry.size;
    this.#check("entries", this.#entries);
    this.#check("bytes", this.#bytes);
    this.#check("pathBytes", Math.max(entry.name.length, entry.linkName.length));
    if (!this.#filter(entry)) this.#filtered += 1;
    else if (this.#target.redo === undefined) this.#writer.start(entry);
  }

  data(bytes: Uint8Array, position: number): void {
    this.#writer.data(bytes, position);
  }

  done(): void {
    this.#writer.done();
    this.#entry = undefined;
  }

  #check(limit: "bytes" | "entries" | "pathBytes", value: number): void {
    if (value > this.#limits[limit]) throw overLimit(limit, this.#limits[limit]);
  }

  #guard<T>(work: () => T): T {
    if (!this.#open) throw new CodedError("ERR_FAILED_PRECONDITION", "layer writer: closed");
    try {
      return work();
    } catch (error) {
      this.#abandon();
      const entry = this.#entry;
      throw placed(error, { subject: this.#subject, name: entry?.name.toString("latin1"), offset: entry?.offset });
    }
  }

  /** Why the writer gives up is what its caller must know, not what else goes wrong then. */
  #abandon(): void {
    try {
      this.abort();
    } catch {
      // Some filesystems report what they could not write when a file is closed.
    }
  }
}
