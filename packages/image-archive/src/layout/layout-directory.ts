import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { digestAlgorithm, digestHex } from "@varve/digest";
import type { Digest, DigestAlgorithm } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { defaultMaxDocumentSize } from "@varve/oci";
import { quote } from "../subject.ts";
import { HeldDirectory } from "./held-directory.ts";

/** An OCI image layout in a directory. */
export class LayoutDirectory {
  readonly root: HeldDirectory;
  /** By algorithm; `undefined` where there is none. */
  readonly #blobs: Map<DigestAlgorithm, HeldDirectory | undefined> = new Map();

  private constructor(root: HeldDirectory) {
    this.root = root;
  }

  /** The directory must be there; what is in it is looked at when it is asked for. */
  static async open(path: string): Promise<LayoutDirectory> {
    return new LayoutDirectory(await HeldDirectory.open(path));
  }

  /** One of the documents at the top, if it is there. */
  async document(name: string): Promise<Buffer | undefined> {
    const handle = await this.root.file(name);
    if (handle === undefined) return undefined;
    try {
      const { size } = await handle.stat();
      if (size <= defaultMaxDocumentSize) return await readAtMost(handle, size);
      const why = `${size} bytes are over the limit of ${defaultMaxDocumentSize}`;
      throw new CodedError("ERR_RESOURCE_EXHAUSTED", `${this.subject(name)}: ${why}`);
    } finally {
      await handle.close();
    }
  }

  /** The file of a blob, if it is there. */
  async blob(digest: Digest): Promise<FileHandle | undefined> {
    const directory = await this.#blobsOf(digestAlgorithm(digest), false);
    return directory?.file(digestHex(digest));
  }

  /** The directory that a blob belongs into. */
  async blobDirectory(digest: Digest): Promise<HeldDirectory> {
    const directory = await this.#blobsOf(digestAlgorithm(digest), true);
    if (directory === undefined) throw new CodedError("ERR_INTERNAL", `${this.subject("blobs")}: not made`);
    return directory;
  }

  /** What messages about a file of the layout begin with. */
  subject(name: string): string {
    return `layout: ${quote(join(this.root.path, name))}`;
  }

  /** Makes all that was renamed into it survive a power cut. */
  async syncBlobs(): Promise<void> {
    for (const directory of this.#blobs.values()) await directory?.sync();
  }

  async close(): Promise<void> {
    for (const directory of this.#blobs.values()) await directory?.close();
    await this.root.close();
  }

  async #blobsOf(algorithm: DigestAlgorithm, make: boolean): Promise<HeldDirectory | undefined> {
    const known = this.#blobs.get(algorithm);
    if (known !== undefined) return known;
    const blobs = make ? await this.root.madeChild("blobs") : await this.root.child("blobs");
    if (blobs === undefined) return undefined;
    try {
      const directory = make ? await blobs.madeChild(algorithm) : await blobs.child(algorithm);
      this.#blobs.set(algorithm, directory);
      return directory;
    } finally {
      await blobs.close();
    }
  }
}

/** The file can grow meanwhile, and is not read beyond what it had. */
async function readAtMost(handle: FileHandle, size: number): Promise<Buffer> {
  const bytes = Buffer.alloc(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await handle.read(bytes, filled, size - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
