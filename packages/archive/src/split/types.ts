/** A file whose content is not in the records but in the tree. */
export interface SplitFile {
  /** The bytes of the archive's name. */
  readonly name: Buffer;
  /** Bytes of content. */
  readonly size: number;
  /** Where the content starts in the archive, in bytes. It does not depend on what is kept in the records. */
  readonly offset: number;
}

export interface TarSplitterOptions {
  /**
   * Answers whether a file's content must be kept in the records, because it will not be in the tree: a later entry replaces the
   * file (`lostFiles` finds these), or the layer is written without it. Sparse files and whiteouts are kept in any case. Default: no.
   */
  readonly inline?: ((file: SplitFile) => boolean) | undefined;
  /** Largest extended header or sparse map, in bytes. Default 1 MiB. */
  readonly headerBytes?: number | undefined;
  /** What messages start with. Default `layer`. */
  readonly subject?: string | undefined;
}

/** What was recorded. */
export interface SplitSummary {
  /** Entries of the archive, whiteouts included. */
  readonly entries: number;
  readonly records: number;
  /** Bytes of all contents, those of sparse files without their holes. */
  readonly contentBytes: number;
  /**
   * How often a file has the name of an earlier one with content. If there is any, contents are lost and other tools refuse the
   * records: ask `lostFiles`, and split the archive again with `inline`.
   */
  readonly repeated: number;
  /**
   * How often a content may have been replaced, or be somewhere else, by what the other entries are: a link or a file where a
   * directory was, and the like; what `repeated` counts is counted, too. If there is any, `lostFiles` tells. What links in
   * layers below do is not known here.
   */
  readonly replaced: number;
}

/** Records one archive as its bytes pass; everything happens in the calling thread, synchronously. */
export interface TarSplitter {
  /**
   * Takes the next bytes of the archive. They are not changed and not kept.
   *
   * @throws ERR_INVALID_DATA and others of `createTarReader`; the splitter cannot be used afterwards
   */
  write(block: Uint8Array): void;
  /** Ends the archive and hands out the last records. Throws as `write` does. */
  end(): SplitSummary;
  /** Gives up; what was handed out so far is of no use. Idempotent. */
  abort(): void;
}

/** A regular file that can be read. */
export interface ContentFile {
  readonly size: number;
  /** The same for two names of one file, different for two files. */
  readonly identity: string;
  /** Reads on into `target` and answers how many bytes; 0 only at the end. */
  read(target: Uint8Array): number;
  close(): void;
}

/** Where contents are taken from. Everything is synchronous: there may be very many small files. */
export interface SplitFiles {
  /** Opens the regular file that an entry of this name made; the answer is a reason, like `is gone`, when there is none. */
  open(name: Buffer): ContentFile | string;
  /** Frees what is open. Idempotent. */
  close(): void;
}
