import { setImmediate as nextTurn } from "node:timers/promises";
import { defaultSubject, placed } from "../entry-error.ts";
import { defaultRecordBytes } from "./join-tar.ts";
import { SplitRecordReader, type SplitRecord } from "./split-record.ts";
import type { SplitFile, SplitFiles } from "./types.ts";

export interface LostFilesOptions {
  /** Rejects with the signal's own reason. */
  readonly signal?: AbortSignal | undefined;
  /** Longest record, in bytes. Default 32 MiB. */
  readonly recordBytes?: number | undefined;
  /** What messages start with. Default `layer`. */
  readonly subject?: string | undefined;
}

/** A file whose content cannot be taken from the tree. */
export interface LostFile extends SplitFile {
  /** What is wrong, like `is gone`. */
  readonly why: string;
}

/** Files looked at before other work of this thread gets its turn. */
const turnFiles = 1000;

/**
 * Finds the contents that are not in a tree just unpacked, because later entries of the same layer replaced them: under the same name,
 * under another name for it, or by replacing a directory above. Only looks files up and reads none, so it does not see what was
 * changed later; `joinTar` does. Splitting the archive again with `inline` answering true at these offsets gives records from which
 * it can be rebuilt.
 *
 * The order is that of the archive, but for files that share one place, which come when the last of them is met.
 */
export async function* lostFiles(
  records: AsyncIterable<Uint8Array>,
  files: SplitFiles,
  options: LostFilesOptions = {},
): AsyncGenerator<LostFile, void, undefined> {
  const search = new Search(files, options.subject ?? defaultSubject);
  const reader = new SplitRecordReader(search.subject, options.recordBytes ?? defaultRecordBytes);
  for await (const chunk of records) {
    options.signal?.throwIfAborted();
    yield* search.look(reader.read(chunk));
    if (search.takesTurn()) await nextTurn();
  }
  yield* search.look(reader.end());
}

class Search {
  readonly subject: string;
  readonly #files: SplitFiles;
  /** The last file met at each place. */
  readonly #places = new Map<string, SplitFile>();
  #offset = 0;
  #sinceTurn = 0;

  constructor(files: SplitFiles, subject: string) {
    this.#files = files;
    this.subject = subject;
  }

  takesTurn(): boolean {
    const due = this.#sinceTurn >= turnFiles;
    if (due) this.#sinceTurn = 0;
    return due;
  }

  *look(records: Iterable<SplitRecord>): Generator<LostFile, void, undefined> {
    for (const record of records) {
      if (record.type === "segment") this.#offset += record.payload.length;
      else if (record.size > 0) yield* this.#file({ name: record.name, size: record.size, offset: this.#offset });
    }
  }

  *#file(file: SplitFile): Generator<LostFile, void, undefined> {
    this.#offset += file.size;
    this.#sinceTurn += 1;
    const found = this.#lookUp(file);
    if (typeof found === "string") {
      yield { ...file, why: found };
      return;
    }
    const earlier = this.#places.get(found.identity);
    if (earlier !== undefined) yield { ...earlier, why: "is replaced by a later entry" };
    this.#places.set(found.identity, file);
  }

  #lookUp(file: SplitFile): { identity: string } | string {
    try {
      const found = this.#files.open(file.name);
      if (typeof found === "string") return found;
      const { identity, size } = found;
      found.close();
      return size === file.size ? { identity } : `has ${size} bytes instead of ${file.size}`;
    } catch (error) {
      throw placed(error, { subject: this.subject, name: file.name.toString("latin1"), offset: file.offset });
    }
  }
}
