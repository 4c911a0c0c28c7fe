import { readSync } from "node:fs";
import { createDigester } from "@varve/digest";
import type { Digest, DigestAlgorithm, Digester } from "@varve/digest";
import { FileHash } from "./file-hash.ts";
import type { HashThread } from "./hash-thread.ts";

/** A small ingest is hashed where it is written: that takes less time than telling another thread. */
const inlineLimit = 1024 * 1024;
const step = 256 * 1024;

/** The running digest of an ingest: on this thread while it is small, by following its file when it has grown. */
export class RunningHash {
  readonly #thread: HashThread;
  readonly #fd: number;
  readonly #algorithm: DigestAlgorithm;
  #inline: Digester | undefined;
  #following: FileHash | undefined;

  /** @param size bytes that are in the file already, and are hashed first */
  constructor(thread: HashThread, file: { readonly fd: number; readonly size: number }, algorithm: DigestAlgorithm) {
    this.#thread = thread;
    this.#fd = file.fd;
    this.#algorithm = algorithm;
    if (file.size > inlineLimit) {
      this.#following = new FileHash(thread, file.fd, algorithm);
      this.#following.grown(file.size);
    } else if (file.size > 0) {
      this.#inline = hashFile(file.fd, file.size, algorithm);
    }
  }

  /** Whether another thread does the work, so that there is some when nobody calls. */
  get follows(): boolean {
    return this.#following !== undefined;
  }

  /** Grows while there is something to do. */
  get hashed(): number {
    return this.#following?.hashed ?? 0;
  }

  /** Bytes that are written after all before. */
  update(bytes: Uint8Array): void {
    if (this.#following !== undefined) return;
    if ((this.#inline?.size ?? 0) + bytes.byteLength > inlineLimit) {
      this.#following = new FileHash(this.#thread, this.#fd, this.#algorithm);
      this.#inline = undefined;
      return;
    }
    this.#inline ??= createDigester(this.#algorithm);
    this.#inline.update(bytes);
  }

  /** The file has `size` bytes now. */
  grown(size: number): void {
    this.#following?.grown(size);
  }

  /** The bytes that are being written at `position`. They must stay as they are until what is returned resolves. */
  offer(bytes: Uint8Array, position: number): Promise<void> | undefined {
    return this.#following?.offer(bytes, position);
  }

  /** The digest of all bytes; they must be in the file. Another algorithm takes another pass over the file (U-LCS.9). */
  async digest(size: number, algorithm: DigestAlgorithm = this.#algorithm): Promise<Digest> {
    if (algorithm === this.#algorithm) {
      return this.#following?.digest(size) ?? (this.#inline ?? createDigester(algorithm)).digest();
    }
    if (this.#following === undefined) return hashFile(this.#fd, size, algorithm).digest();
    const pass = new FileHash(this.#thread, this.#fd, algorithm);
    try {
      return await pass.digest(size);
    } finally {
      await pass.close();
    }
  }

  /** Resolves when the file may be closed. */
  async close(): Promise<void> {
    await this.#following?.close();
  }
}

/** For small files: it occupies this thread. */
function hashFile(fd: number, size: number, algorithm: DigestAlgorithm): Digester {
  const digester = createDigester(algorithm);
  const buffer = Buffer.allocUnsafeSlow(Math.min(size, step));
  while (digester.size < size) {
    const count = readSync(fd, buffer, 0, Math.min(buffer.byteLength, size - digester.size), digester.size);
    if (count === 0) break;
    digester.update(buffer.subarray(0, count));
  }
  return digester;
}
