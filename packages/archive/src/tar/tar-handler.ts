import type { TarEntry } from "./tar-entry.ts";

/** Takes what a reader finds, in the order of the archive. What it throws comes out of `write`. */
export interface TarHandler {
  /**
   * Up to this byte of the archive there are headers, or padding before them. Comes right before each `entry` (so that its content
   * starts there), after a global header's content, and after the end mark.
   */
  boundary?(offset: number): void;
  entry(entry: TarEntry): void;
  /** The next stretch of the entry's content, valid during the call only, and where in the file it belongs. */
  data(bytes: Uint8Array, position: number): void;
  /** The entry is complete. What `data` did not give of a sparse file are zeros. */
  done(): void;
}

export interface TarReaderOptions {
  /** Largest extended header or sparse map, in bytes. Default 1 MiB. */
  readonly headerBytes?: number | undefined;
  /** What messages begin with. Default `layer`. */
  readonly subject?: string | undefined;
}

/** Reads an archive as its bytes come in. */
export interface TarReader {
  /** @throws ERR_INVALID_DATA and others of `createTarReader`; the reader cannot be used afterwards */
  write(block: Uint8Array): void;
  /** @throws ERR_INVALID_DATA the archive ends too early */
  end(): void;
}
