import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { defaultMaxDocumentSize, isIndexType, isManifestType, isSchema1Type, parseDocument } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { readRemote } from "./fetch-bytes.ts";
import type { Fetcher } from "./resolver.ts";

const maxTotal = 32 * 1024 * 1024;

/** Manifests and indexes of a registry, verified, held in memory as long as they are worked on. */
export class FetchedManifests {
  readonly #fetcher: Fetcher;
  readonly #bytes = new Map<Digest, Uint8Array>();
  #total = 0;

  constructor(fetcher: Fetcher) {
    this.#fetcher = fetcher;
  }

  /** What a descriptor refers to, as `childrenOf` gives it for a store. */
  async children(descriptor: Descriptor, signal: AbortSignal | undefined): Promise<readonly Descriptor[]> {
    const { mediaType } = descriptor;
    // Reading schema 1 says why that is not done.
    if (!isIndexType(mediaType) && !isManifestType(mediaType) && !isSchema1Type(mediaType)) return [];
    const document = parseDocument(await this.#read(descriptor, signal), descriptor);
    if (document.kind === "index") return document.index.manifests;
    return document.kind === "manifest" ? [document.manifest.config, ...document.manifest.layers] : [];
  }

  /** The digest of the manifest that this one belongs to. */
  async subject(descriptor: Descriptor, signal: AbortSignal | undefined): Promise<Digest | undefined> {
    if (!isIndexType(descriptor.mediaType) && !isManifestType(descriptor.mediaType)) return undefined;
    const document = parseDocument(await this.#read(descriptor, signal), descriptor);
    if (document.kind === "index") return document.index.subject?.digest;
    return document.kind === "manifest" ? document.manifest.subject?.digest : undefined;
  }

  /** The bytes of a manifest that was read; `undefined` for anything else. */
  bytes({ digest }: Descriptor, offset: number): AsyncIterable<Uint8Array> | undefined {
    const bytes = this.#bytes.get(digest);
    return bytes && once(bytes.subarray(offset));
  }

  forget(): void {
    this.#bytes.clear();
    this.#total = 0;
  }

  async #read(descriptor: Descriptor, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { digest, size } = descriptor;
    const known = this.#bytes.get(digest);
    if (known !== undefined) return known;
    if (this.#total + size > maxTotal && size <= defaultMaxDocumentSize) {
      throw new CodedError("ERR_RESOURCE_EXHAUSTED", `manifest ${digest}: more than ${maxTotal} bytes of manifests`);
    }
    const bytes = await readRemote(this.#fetcher, descriptor, { signal });
    this.#bytes.set(digest, bytes);
    this.#total += size;
    return bytes;
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  if (bytes.byteLength > 0) yield bytes;
}
