import { CodedError } from "@varve/errors";
import { cleanPath } from "../apply/entry-path.ts";
import { whiteoutOf } from "../whiteout.ts";
import type { TarEntry } from "../tar/tar-entry.ts";
import type { TarHandler, TarReader } from "../tar/tar-handler.ts";
import { createTarReader } from "../tar/tar-reader.ts";
import { Crc64 } from "./crc64.ts";
import { PathMarks } from "./path-marks.ts";
import { RecordWriter } from "./record-writer.ts";
import { ReplacedPaths } from "./replaced-paths.ts";
import type { SplitFile, SplitSummary, TarSplitter, TarSplitterOptions } from "./types.ts";

/**
 * Starts to record an archive so that `joinTar` can rebuild it, bit for bit, from the records and the files that the archive was
 * unpacked to. Records are lines of JSON in the format of Go's tar-split, as moby keeps them in `tar-split.json.gz`: segments of
 * raw bytes (headers, padding, whatever follows the end), and names, sizes and checksums of files in between.
 *
 * @param sink takes records in order, in stretches that need not end with a line; it may keep them
 */
export function createTarSplitter(sink: (records: Uint8Array) => void, options: TarSplitterOptions = {}): TarSplitter {
  return new Splitter(sink, options);
}

const noBytes = Buffer.alloc(0);

/** What stands for an entry's content: a record with a checksum, a record without, or segments. */
type Content = "file" | "none" | "segment";

class Splitter implements TarSplitter, TarHandler {
  readonly #inline: (file: SplitFile) => boolean;
  readonly #reader: TarReader;
  readonly #records: RecordWriter;
  readonly #sum = new Crc64();
  /** Names that have a record, and whether it stands for content. */
  readonly #named = new PathMarks();
  readonly #replaced = new ReplacedPaths();
  #open = true;
  #entries = 0;
  #repeated = 0;
  #bytes = 0;
  #block: Buffer = noBytes;
  /** Offset of the block in the archive. */
  #start = 0;
  /** How much of the block is recorded. */
  #taken = 0;
  /** Where in the archive the segment has to end, if that is still to come. */
  #cut = 0;
  /** Whether the segment ends here, if anything follows. */
  #ends = false;
  /** Where in the block the content ends that came last. */
  #dataEnd = 0;
  #file: SplitFile = { name: noBytes, size: 0, offset: 0 };
  #content: Content = "none";

  constructor(sink: (records: Uint8Array) => void, options: TarSplitterOptions) {
    this.#inline = options.inline ?? (() => false);
    this.#records = new RecordWriter(sink);
    const { headerBytes, subject } = options;
    this.#reader = createTarReader(this, { headerBytes, subject });
  }

  write(block: Uint8Array): void {
    this.#guard(() => {
      this.#block = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
      this.#taken = 0;
      this.#reader.write(block);
      this.#segmentUpTo(this.#block.length);
      this.#start += this.#block.length;
      this.#block = noBytes;
    });
  }

  end(): SplitSummary {
    return this.#guard(() => {
      this.#reader.end();
      this.#records.endSegment();
      this.#records.flush();
      this.#open = false;
      return {
        entries: this.#entries,
        records: this.#records.count,
        contentBytes: this.#bytes,
        repeated: this.#repeated,
        replaced: this.#replaced.count,
      };
    });
  }

  abort(): void {
    this.#open = false;
  }

  boundary(offset: number): void {
    this.#cut = offset;
    this.#segmentUpTo(Math.min(offset - this.#start, this.#block.length));
  }

  entry(entry: TarEntry): void {
    this.#file = { name: entry.name, size: entry.size, offset: this.#cut };
    this.#entries += 1;
    this.#bytes += entry.size;
    this.#sum.reset();
    this.#content = this.#contentOf(entry, this.#file);
    // Go's tools look for a header at the start of each segment, behind the padding of the content before it.
    if (this.#content === "segment" && entry.size > 0) this.#ends = false;
  }

  data(bytes: Uint8Array): void {
    const at = bytes.byteOffset - this.#block.byteOffset;
    this.#segmentUpTo(at);
    this.#dataEnd = at + bytes.length;
    if (this.#content !== "file") return;
    this.#sum.update(bytes);
    this.#taken = this.#dataEnd;
  }

  done(): void {
    const { name, size } = this.#file;
    if (this.#content === "file") this.#records.file(name, size, this.#sum.sum());
    else if (this.#content === "none") this.#records.file(name, 0, undefined);
    else if (size > 0) {
      this.#segmentUpTo(this.#dataEnd);
      this.#ends = true;
    }
    this.#dataEnd = 0;
  }

  #contentOf(entry: TarEntry, file: SplitFile): Content {
    const path = cleanPath(entry.name.toString("latin1")).names.join("/");
    const isWhiteout = whiteoutOf(path.slice(path.lastIndexOf("/") + 1)) !== undefined;
    if (!isWhiteout) this.#replaced.entry(path, entry.type === "directory", file.size > 0);
    if (file.size === 0) return this.#named.add(path, false) === undefined ? "none" : "segment";
    // What is not in the tree as it is here has no record, so that no other tool looks for it.
    if (entry.sparse || isWhiteout || this.#inline(file)) return "segment";
    // Go refuses two records of one name. This one cannot take the place of one that has no content, so it stays out.
    const earlier = this.#named.add(path, true);
    if (earlier === false) return "segment";
    if (earlier === true) this.#repeated += 1;
    return "file";
  }

  #segmentUpTo(end: number): void {
    const cut = this.#cut - this.#start;
    if (this.#taken < cut && cut <= end) {
      this.#add(cut);
      this.#ends = true;
    }
    if (this.#taken < end) this.#add(end);
  }

  #add(end: number): void {
    if (this.#ends) this.#records.endSegment();
    this.#ends = false;
    this.#records.add(this.#block, this.#taken, end);
    this.#taken = end;
  }

  #guard<T>(work: () => T): T {
    if (!this.#open) throw new CodedError("ERR_FAILED_PRECONDITION", "tar splitter: closed");
    try {
      return work();
    } catch (error) {
      this.#open = false;
      throw error;
    }
  }
}
