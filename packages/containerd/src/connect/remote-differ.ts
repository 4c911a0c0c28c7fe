import { randomUUID } from "node:crypto";
import type { Client } from "@connectrpc/connect";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { writeBlob } from "@varve/content";
import type { ContentStore } from "@varve/content";
import type { Applier, ApplyOptions, CompareOptions, ComparedLayer, Comparer } from "@varve/diff";
import { CodedError, hasCode } from "@varve/errors";
import type { Mount } from "@varve/mount";
import { mediaTypes } from "@varve/oci";
import type { Descriptor } from "@varve/oci";
import { Diff } from "../gen/containerd/services/diff/v1/diff_pb.js";
import { fromDescriptor, fromMount, toDescriptor } from "../wire/values.ts";
import type { Caller } from "./caller.ts";
import { measureLayer } from "./measure-layer.ts";

/** How Go's readers of tar, gzip and zstd end their messages about a stream that is none, or not whole. */
const malformed =
  /(?:unexpected EOF|invalid tar header|invalid header|invalid checksum|invalid input|magic number mismatch|corrupt input before offset \d+)$/;

/** Has containerd apply and compare, in its own process and between its own mounts. */
export class RemoteDiffer implements Applier, Comparer {
  readonly #caller: Caller;
  readonly #diff: Client<typeof Diff>;
  readonly #content: ContentStore;
  readonly #version: () => Promise<string>;

  constructor(caller: Caller, content: ContentStore, version: () => Promise<string>) {
    this.#caller = caller;
    this.#diff = caller.client(Diff);
    this.#content = content;
    this.#version = version;
  }

  async apply(layer: Descriptor, mounts: readonly Mount[], options: ApplyOptions = {}): Promise<Descriptor> {
    const { signal, source, onProgress } = options;
    if (source !== undefined) {
      // Containerd reads from its own store only. That it is verified on the way does no harm.
      const { digest, size } = layer;
      await writeBlob(this.#content, `apply-${digest}`, source, { expected: { digest, size }, signal });
    }
    const request = { diff: fromDescriptor(layer), mounts: mounts.map(fromMount) };
    try {
      const { applied } = await this.#caller.ask((call) => this.#diff.apply(request, call), signal);
      onProgress?.(layer.size);
      return toDescriptor(applied);
    } catch (error) {
      throw classed(layer, error);
    }
  }

  /** How hard to compress is up to containerd. What is not told by it is read from the layer it made. */
  async compare(
    lower: readonly Mount[],
    upper: readonly Mount[],
    options: CompareOptions = {},
  ): Promise<ComparedLayer> {
    const { mediaType = mediaTypes.ociLayerGzip, labels = {}, sourceDateEpoch, onProgress, signal } = options;
    if (sourceDateEpoch !== undefined) await this.#mustKnowEpochs();
    const request = {
      left: lower.map(fromMount),
      right: upper.map(fromMount),
      mediaType,
      ref: options.ref ?? `compare-${randomUUID()}`,
      labels: { ...labels },
      ...(sourceDateEpoch === undefined
        ? {}
        : { sourceDateEpoch: timestampFromDate(new Date(sourceDateEpoch * 1000)) }),
    };
    const { diff } = await this.#caller.ask((call) => this.#diff.diff(request, call), signal);
    const descriptor = toDescriptor(diff);
    const measured = await measureLayer(this.#content, descriptor, signal);
    onProgress?.(measured.size);
    return { descriptor, ...measured };
  }

  /** One that does not would leave the times as they are, and nobody would notice. */
  async #mustKnowEpochs(): Promise<void> {
    const version = await this.#version();
    if (!/^v?1\.[0-6]\./.test(version)) return;
    throw new CodedError("ERR_NOT_IMPLEMENTED", `containerd ${version}: no sourceDateEpoch before 1.7`);
  }
}

/** Containerd says of a stream what is wrong, but not whose fault it is. */
function classed({ digest, mediaType }: Descriptor, error: unknown): unknown {
  if (!hasCode(error, "ERR_INTERNAL")) return error;
  if (error.message.includes("no processor for media-type")) {
    const text = `layer ${digest}: containerd cannot read ${mediaType}`;
    return new CodedError("ERR_NOT_IMPLEMENTED", text, { cause: error });
  }
  if (!malformed.test(error.message)) return error;
  return new CodedError("ERR_INVALID_DATA", `layer ${digest}: ${error.message}`, { cause: error });
}
