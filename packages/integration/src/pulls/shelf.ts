import { setImmediate } from "node:timers/promises";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { digestOf } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import { defaultPlatform, mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import type { Fetcher, FetchOptions, Resolver } from "@varve/remotes";

/** A layer as it is transported. */
export interface ShelfLayer {
  readonly blob: Descriptor;
  readonly diffId: Digest;
}

export interface ShelfImage {
  readonly name: string;
  readonly tag: string;
  /** All that it is made of, each once. */
  readonly blobs: readonly Digest[];
}

export type Form = "gzip" | "plain" | "zstd";
export const forms: readonly Form[] = ["gzip", "plain", "zstd"];

const typeOf: Readonly<Record<Form, string>> = {
  gzip: mediaTypes.ociLayerGzip,
  plain: mediaTypes.ociLayer,
  zstd: mediaTypes.ociLayerZstd,
};

/** Images in memory, and a resolver that hands their bytes out in pieces of random lengths, after random waits. */
export class Shelf {
  /** What is sent for a digest, which need not be what has that digest. */
  readonly bytes: Map<Digest, Uint8Array> = new Map();
  readonly #images: Map<string, Descriptor> = new Map();
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  put(mediaType: string, bytes: Uint8Array): Descriptor {
    const digest = digestOf(bytes);
    this.bytes.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  }

  layer(tar: Uint8Array, form: Form): ShelfLayer {
    const packed = form === "gzip" ? gzipSync(tar) : form === "zstd" ? zstdCompressSync(tar) : tar;
    return { blob: this.put(typeOf[form], packed), diffId: digestOf(tar) };
  }

  image(layers: readonly ShelfLayer[]): ShelfImage {
    const rootfs = { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) };
    const config = this.#json(mediaTypes.ociConfig, { ...defaultPlatform(), rootfs });
    const blobs = layers.map(({ blob }) => blob);
    const manifest = this.#json(mediaTypes.ociManifest, {
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config,
      layers: blobs,
    });
    const tag = `v${this.#images.size}`;
    const name = `registry.example/image:${tag}`;
    this.#images.set(name, manifest);
    return { name, tag, blobs: [...new Set([manifest, config, ...blobs].map(({ digest }) => digest))] };
  }

  /** @param name a tag or a digest */
  manifest(name: string): Descriptor | undefined {
    return [...this.#images].find(([tag, { digest }]) => tag.endsWith(`:${name}`) || digest === name)?.[1];
  }

  resolver(): Resolver {
    return {
      resolve: async (name) => {
        const descriptor = this.#images.get(name);
        if (descriptor === undefined) throw new CodedError("ERR_NOT_FOUND", `image ${name}: not found`);
        return { name, descriptor };
      },
      fetcher: (): Fetcher => ({ fetch: (descriptor, options) => this.#send(descriptor, options) }),
      pusher: () => ({ push: () => Promise.reject(new CodedError("ERR_NOT_IMPLEMENTED", "shelf: read only")) }),
      close: async () => undefined,
    };
  }

  async *#send({ digest }: Descriptor, { offset = 0, signal }: FetchOptions = {}): AsyncGenerator<Uint8Array> {
    const bytes = this.bytes.get(digest);
    if (bytes === undefined) throw new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`);
    for (let at = offset; at < bytes.length;) {
      for (let turns = Math.floor(this.#random() * 4); turns > 0; turns -= 1) await setImmediate();
      signal?.throwIfAborted();
      const end = at + 1 + Math.floor(this.#random() ** 2 * 60_000);
      yield bytes.subarray(at, end);
      at = end;
    }
  }

  #json(mediaType: string, value: object): Descriptor {
    return this.put(mediaType, Buffer.from(JSON.stringify(value)));
  }
}
