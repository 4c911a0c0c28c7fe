import { CodedError } from "@varve/errors";
import { EntryWriter } from "./entry-writer.ts";
import { finishDirectories } from "./finish-directories.ts";
import { AttributeWriter } from "./attributes.ts";
import { atEntry, archiveError } from "./entry-error.ts";
import { LayerTree } from "./layer-tree.ts";
import { withDefaults } from "./limits.ts";
import { MergedTarget } from "./merged-target.ts";
import type { TarEntry } from "./tar-entry.ts";
import { createTarReader, type TarHandler, type TarReader } from "./tar-reader.ts";
import type { Target } from "./target.ts";
import type { ApplyResult, LayerLimits, LayerWriter, LayerWriterOptions } from "./types.ts";
import { UpperTarget } from "./upper-target.ts";

/**
 * Starts to write a layer into the directory `root`, by the rules of the OCI image specification (layer.md): whiteouts
 * concern what lower layers left, wherever they stand in the archive. Nothing outside the root is touched or followed.
 * A write that throws closes the writer; what was written so far stays.
 *
 * @throws ERR_FAILED_PRECONDITION the target is `overlay` and the root is not empty
 * @throws ERR_NOT_IMPLEMENTED the system calls are missing: not Linux
 */
export function createLayerWriter(root: string, options: LayerWriterOptions = {}): LayerWriter {
  const limits = withDefaults(options.limits);
  const tree = new LayerTree(root, limits, options.ownership === "skip");
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
  readonly #writer: EntryWriter;
  readonly #reader: TarReader;
  #open = true;
  #entries = 0;
  #bytes = 0;
  #filtered = 0;
  #name = "";

  constructor(tree: LayerTree, target: Target, limits: LayerLimits, options: LayerWriterOptions) {
    this.#tree = tree;
    this.#target = target;
    this.#limits = limits;
    this.#filter = options.filter ?? (() => true);
    this.#attributes = new AttributeWriter(options.ownership !== "skip");
    this.#writer = new EntryWriter(tree, target, this.#attributes, options.devices !== "skip");
    this.#reader = createTarReader(this, { headerBytes: limits.headerBytes });
  }

  write(block: Uint8Array): void {
    this.#guard(() => this.#reader.write(block));
  }

  end(): ApplyResult {
    return this.#guard(() => {
      this.#reader.end();
      if (this.#target.redo === undefined) finishDirectories(this.#tree, this.#attributes);
      const questions = this.#target.questions();
      this.abort();
      const skipped = {
        xattrs: this.#attributes.skipped,
        devices: this.#writer.skippedDevices,
        filtered: this.#filtered,
      };
      return { entries: this.#entries, bytes: this.#bytes, skipped, questions };
    });
  }

  abort(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#writer.close();
    this.#tree.close();
  }

  entry(entry: TarEntry): void {
    this.#name = entry.name.toString("latin1");
    this.#entries += 1;
    this.#bytes += entry.size;
    this.#check("entries", this.#entries, entry);
    this.#check("bytes", this.#bytes, entry);
    this.#check("pathBytes", Math.max(entry.name.length, entry.linkName.length), entry);
    if (!this.#filter(entry)) this.#filtered += 1;
    else if (this.#target.redo === undefined) this.#writer.start(entry);
  }

  data(bytes: Uint8Array, position: number): void {
    this.#writer.data(bytes, position);
  }

  done(): void {
    this.#writer.done();
    this.#name = "";
  }

  #check(limit: "bytes" | "entries" | "pathBytes", value: number, entry: TarEntry): void {
    if (value <= this.#limits[limit]) return;
    const why = `more than the limit ${limit} (${this.#limits[limit]})`;
    throw archiveError(entry.offset, why, "ERR_RESOURCE_EXHAUSTED");
  }

  #guard<T>(work: () => T): T {
    if (!this.#open) throw new CodedError("ERR_FAILED_PRECONDITION", "layer writer: closed");
    try {
      return work();
    } catch (error) {
      this.abort();
      throw this.#name === "" ? error : atEntry(this.#name, error);
    }
  }
}
