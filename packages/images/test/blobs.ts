import type { BlobInfo, BlobReader, Manager, Provider } from "@varve/content";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Descriptor, Platform } from "@varve/oci";

/** Blobs in memory. */
export class Blobs implements Provider, Manager {
  readonly #blobs: Map<Digest, Uint8Array> = new Map();

  /** Stores a document and describes it. */
  put(mediaType: string, value: unknown, platform?: Platform): Descriptor {
    const bytes = new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
    const digest = digestOf(bytes);
    this.#blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length, ...(platform === undefined ? {} : { platform }) };
  }

  async open(descriptor: Descriptor): Promise<BlobReader> {
    const bytes = this.#get(descriptor.digest);
    return {
      size: bytes.length,
      read: async (target, position) => {
        const part = bytes.subarray(position, position + target.length);
        target.set(part);
        return part.length;
      },
      stream: async function* () {
        yield bytes;
      },
      close: async () => {},
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async info(digest: Digest): Promise<BlobInfo> {
    return { digest, size: this.#get(digest).length, createdAt: new Date(0), updatedAt: new Date(0), labels: {} };
  }
  async *walk(): AsyncIterable<BlobInfo> {
    for (const digest of this.#blobs.keys()) yield this.info(digest);
  }
  async delete(digest: Digest): Promise<void> {
    this.#get(digest);
    this.#blobs.delete(digest);
  }

  #get(digest: Digest): Uint8Array {
    const bytes = this.#blobs.get(digest);
    if (bytes === undefined) throw new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`);
    return bytes;
  }
}

export const types = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar+gzip",
} as const;

/** An image for a platform, stored; `inIndex` puts the platform into the descriptor too. */
export function putImage(blobs: Blobs, os: string, architecture: string, inIndex = true): Descriptor {
  const layers = [blobs.put(types.layer, `layer of ${os}/${architecture}`)];
  const rootfs = { type: "layers", diff_ids: layers.map((layer) => layer.digest) };
  const config = blobs.put(types.config, { os, architecture, rootfs });
  const manifest = { schemaVersion: 2, mediaType: types.manifest, config, layers };
  return blobs.put(types.manifest, manifest, inIndex ? { os, architecture } : undefined);
}

export function putIndex(blobs: Blobs, manifests: readonly Descriptor[]): Descriptor {
  return blobs.put(types.index, { schemaVersion: 2, mediaType: types.index, manifests });
}

/** A descriptor that is only a name. */
export function named(text: string): Descriptor {
  return { mediaType: "text/plain", digest: digestOf(text), size: text.length };
}
