import { closeSync, fstatSync, openSync, renameSync, unlinkSync, writeSync } from "node:fs";
import { currentOwner } from "@varve/locks";
import { removeFile } from "./errno.ts";
import { recordBytes, spareSize } from "./ingest-record.ts";
import type { IngestRecord } from "./ingest-record.ts";
import { privatePath } from "./layout.ts";
import type { IngestPaths, Layout } from "./layout.ts";

/** A record that is open as long as its writer is. */
export interface RecordFile {
  readonly fd: number;
  /** Whether the file is another's by now. */
  isGivenBack: boolean;
}

interface Spare {
  readonly path: string;
  readonly fd: number;
}

/** As many as ingests come and go at once. */
const limit = 16;

/**
 * Makes and ends records. Those of ended ingests are kept for the next ones: ext4 takes no inode again that was freed in the
 * last minutes, and looks at each of them whenever a file is made, so that thousands of short-lived files get slower and
 * slower.
 */
export class RecordFiles {
  readonly #layout: Layout;
  readonly #spares: Spare[] = [];
  readonly #abandoned: Set<string> = new Set();

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  /** A claim of this store whose record could not be told that it is over. */
  abandon(token: string): void {
    this.#abandoned.add(token);
  }

  isAbandoned(token: string): boolean {
    return this.#abandoned.has(token);
  }

  /** Makes the record of an ingest that is not there yet, and gives the open file. Under the lock. */
  create(paths: IngestPaths, record: IngestRecord): RecordFile {
    const bytes = recordBytes(record);
    const spare = bytes.byteLength === spareSize ? this.#spares.pop() : undefined;
    const fd = spare?.fd ?? openSync(paths.record, "wx+", 0o600);
    const path = spare?.path ?? paths.record;
    try {
      for (let done = 0; done < bytes.byteLength;) done += writeSync(fd, bytes, done, bytes.byteLength - done, done);
      if (spare !== undefined) renameSync(path, paths.record);
      return { fd, isGivenBack: false };
    } catch (error) {
      // On a full disk above all: a record that is half made must not lock the ref as long as this process lives.
      closeSync(fd);
      removeFile(path);
      throw error;
    }
  }

  /** Ends an ingest: its record is gone. Under the lock. */
  recycle(paths: IngestPaths, file: RecordFile): void {
    const { fd } = file;
    if (this.#spares.length < limit && fstatSync(fd).size === spareSize) {
      const path = privatePath(this.#layout, currentOwner());
      renameSync(paths.record, path);
      file.isGivenBack = true;
      this.#spares.push({ path, fd });
    } else {
      unlinkSync(paths.record);
    }
  }

  /** To be called for each file in the end. */
  release(file: RecordFile): void {
    if (!file.isGivenBack) closeSync(file.fd);
    file.isGivenBack = true;
  }

  close(): void {
    for (const { path, fd } of this.#spares.splice(0)) {
      closeSync(fd);
      try {
        removeFile(path);
      } catch {
        // It is swept when the store is opened again.
      }
    }
  }
}
