import { randomUUID } from "node:crypto";
import { isDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { defaultMaxDocumentSize } from "@varve/oci";
import type { ImportOptions } from "../image-archive.ts";
import { entryError, quote } from "../subject.ts";
import { entryPath, linkPath } from "../tar/entry-path.ts";
import { readEntries } from "../tar/read-entries.ts";
import type { TarEntry } from "../tar/read-entries.ts";
import { storeBlob } from "./store-blob.ts";

/** A file of an archive that is in the store now. */
export interface StoredFile {
  readonly digest: Digest;
  readonly size: number;
}

/** What says which images an archive has; kept in memory, since it may come before or after the blobs. */
const documentNames = ["index.json", "manifest.json", "oci-layout", "repositories"];
const defaultMaxEntries = 100_000;
// More links in a row than any archive needs.
const maxHops = 16;

/** Reads an archive once, from its first byte to its last: files go into the store as they come, each under its digest. */
export async function takeIn(source: AsyncIterable<Uint8Array>, options: ImportOptions): Promise<ArchiveFiles> {
  const { maxBytes, maxEntries = defaultMaxEntries, signal } = options;
  const files = new ArchiveFiles(options);
  for await (const entry of readEntries(source, { maxBytes, maxEntries, signal })) await files.take(entry);
  return files;
}

/** The files of an archive, by their one spelling. */
export class ArchiveFiles {
  readonly #options: ImportOptions;
  readonly #documents: Map<string, Uint8Array> = new Map();
  readonly #stored: Map<string, StoredFile> = new Map();
  readonly #links: Map<string, string> = new Map();
  /** Two imports at the same time have layers of one name. */
  readonly #refPrefix: string = `import-${randomUUID()}`;

  constructor(options: ImportOptions) {
    this.#options = options;
  }

  /** One of the documents that stand at the top. */
  document(name: string): Uint8Array | undefined {
    return this.#documents.get(name);
  }

  /**
   * The file that a document names, through links.
   *
   * @throws ERR_INVALID_DATA there is none
   */
  find(name: string): StoredFile {
    let path = entryPath(name);
    for (let hops = 0; hops < maxHops; hops += 1) {
      const stored = this.#stored.get(path);
      if (stored !== undefined) return stored;
      const target = this.#links.get(path);
      if (target === undefined)
        throw entryError(name, path === name ? "missing" : `missing: it leads to ${quote(path)}`);
      path = target;
    }
    throw entryError(name, `more than ${maxHops} links in a row, or a circle of them`);
  }

  async take(entry: TarEntry): Promise<void> {
    const path = entryPath(entry.name);
    if (entry.type === "symlink" || entry.type === "link") {
      this.#mustBeNew(path);
      // A hard link names its target from the top, a symbolic one from where it stands.
      this.#links.set(path, entry.type === "link" ? entryPath(entry.target) : linkPath(path, entry.target));
    } else if (entry.type === "file" || entry.type === "contiguous-file") {
      if (path === "" || entry.name.endsWith("/")) throw entryError(entry.name, "a file with the name of a directory");
      await this.#takeFile(path, entry);
    }
  }

  async #takeFile(path: string, entry: TarEntry): Promise<void> {
    if (documentNames.includes(path)) {
      this.#mustBeNew(path);
      this.#documents.set(path, await readAll(path, entry));
      return;
    }
    // Of Docker's oldest format, and of no use to anybody.
    if (/^[0-9a-f]{64}\/(?:VERSION|json)$/.test(path)) return;
    const digest = digestOfPath(path);
    // Twice the same blob is the same blob: its name says what is in it.
    if (digest === undefined) this.#mustBeNew(path);
    else if (this.#links.has(path)) throw entryError(path, "stands twice in the archive");
    this.#stored.set(path, await this.#store(path, entry, digest));
  }

  async #store(path: string, entry: TarEntry, digest: Digest | undefined): Promise<StoredFile> {
    const { content, onBlob, signal } = this.#options;
    const { size } = entry;
    const ref = digest === undefined ? `${this.#refPrefix}-${this.#stored.size}` : `import-${digest}`;
    const subject = `archive: entry ${quote(path)}`;
    const stored = await storeBlob(entry.content, { content, subject, ref, digest, size, signal });
    if (digest !== undefined) await this.#mustHaveSize(subject, digest, size);
    onBlob?.({ digest: stored, size });
    return { digest: stored, size };
  }

  /** A blob that was stored before was not read: its entry may be of any size. */
  async #mustHaveSize(subject: string, digest: Digest, size: number): Promise<void> {
    const { content, signal } = this.#options;
    const info = await content.info(digest, { signal });
    if (info.size === size) return;
    throw new CodedError("ERR_DIGEST_MISMATCH", `${subject}: ${size} bytes, the blob of that digest has ${info.size}`);
  }

  #mustBeNew(path: string): void {
    if (this.#documents.has(path) || this.#stored.has(path) || this.#links.has(path)) {
      throw entryError(path, "stands twice in the archive");
    }
  }
}

/** The digest that a path of an OCI layout names: `blobs/<algorithm>/<hex>`. */
function digestOfPath(path: string): Digest | undefined {
  const [blobs, algorithm, hex, ...rest] = path.split("/");
  const digest = `${algorithm}:${hex}`;
  return blobs === "blobs" && rest.length === 0 && isDigest(digest) ? digest : undefined;
}

async function readAll(path: string, entry: TarEntry): Promise<Uint8Array> {
  if (entry.size > defaultMaxDocumentSize) {
    const why = `${entry.size} bytes are over the limit of ${defaultMaxDocumentSize}`;
    throw new CodedError("ERR_RESOURCE_EXHAUSTED", `archive: entry ${quote(path)}: ${why}`);
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of entry.content) chunks.push(chunk);
  return Buffer.concat(chunks);
}
