import type { CallOptions as RequestOptions, Client } from "@connectrpc/connect";
import { blobFilter, ingestFilter } from "@varve/content";
import type {
  BlobInfo,
  BlobReader,
  CallOptions,
  ContentStore,
  IngestStatus,
  LabelChanges,
  LabelOptions,
  Labeler,
  WalkOptions,
  Writer,
  WriterOptions,
} from "@varve/content";
import { parseDigest } from "@varve/digest";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Descriptor } from "@varve/oci";
import { Content } from "../gen/containerd/services/content/v1/content_pb.js";
import type { Info, Status } from "../gen/containerd/services/content/v1/content_pb.js";
import { labelPaths } from "../wire/label-mask.ts";
import { toDate, toNumber } from "../wire/values.ts";
import type { Caller } from "./caller.ts";
import { checkedLabels } from "./checked-labels.ts";
import { RemoteReader } from "./remote-reader.ts";
import { openRemoteWriter } from "./remote-writer.ts";
import type { RemoteWriter } from "./remote-writer.ts";

/** The blobs and ingests that a namespace of containerd has. */
export class RemoteContent implements ContentStore, Labeler {
  readonly #caller: Caller;
  readonly #content: Client<typeof Content>;
  /** Those that are open here, by their refs. */
  readonly #writers: Map<string, RemoteWriter> = new Map();
  #isClosed = false;

  constructor(caller: Caller) {
    this.#caller = caller;
    this.#content = caller.client(Content);
  }

  async open({ digest }: Descriptor, options: CallOptions = {}): Promise<BlobReader> {
    const { size } = await this.info(digest, options);
    return new RemoteReader(this.#caller, digest, size);
  }

  async writer(ref: string, options: WriterOptions = {}): Promise<Writer> {
    this.#mustBeOpen();
    const writer = await openRemoteWriter(this.#caller, ref, options);
    this.#writers.set(ref, writer);
    void this.#forget(ref, writer);
    if (!this.#isClosed) return writer;
    await writer.close();
    throw this.#closed();
  }

  async status(ref: string, { signal }: CallOptions = {}): Promise<IngestStatus> {
    await this.#writers.get(ref)?.settled();
    const { status } = await this.#ask((options) => this.#content.status({ ref }, options), signal);
    if (status === undefined) throw new CodedError("ERR_INTERNAL", "containerd: answered without a status");
    return this.#toldTo(toStatus(status));
  }

  async *statuses({ filters, signal }: WalkOptions = {}): AsyncGenerator<IngestStatus, void, undefined> {
    const isWanted = ingestFilter(filters);
    signal?.throwIfAborted();
    await Promise.all([...this.#writers.values()].map((writer) => writer.settled()));
    const { statuses } = await this.#ask((options) => this.#content.listStatuses({}, options), signal);
    for (const status of statuses.map(toStatus)) if (isWanted(status)) yield this.#toldTo(status);
  }

  async abort(ref: string, { signal }: CallOptions = {}): Promise<void> {
    signal?.throwIfAborted();
    // Containerd does not tell a writer, and its lock would stay.
    await this.#writers.get(ref)?.lose();
    await this.#change((options) => this.#content.abort({ ref }, options), signal);
  }

  async info(digest: Digest, { signal }: CallOptions = {}): Promise<BlobInfo> {
    const request = { digest: parseDigest(digest) };
    const { info } = await this.#ask((options) => this.#content.info(request, options), signal);
    return toBlobInfo(info);
  }

  async *walk({ filters, signal }: WalkOptions = {}): AsyncGenerator<BlobInfo, void, undefined> {
    const isWanted = blobFilter(filters);
    this.#mustBeOpen();
    for (const info of await this.#caller.list((options) => this.#content.list({}, options), signal)) {
      signal?.throwIfAborted();
      const blob = toBlobInfo(info);
      if (isWanted(blob)) yield blob;
    }
  }

  async delete(digest: Digest, { signal }: CallOptions = {}): Promise<void> {
    const request = { digest: parseDigest(digest) };
    await this.#change((options) => this.#content.delete(request, options), signal);
  }

  async label(digest: Digest, changes: LabelChanges, options: LabelOptions = {}): Promise<BlobInfo> {
    const { replace = false, signal } = options;
    const paths = labelPaths(changes, replace);
    // Without a path containerd would replace them all.
    if (paths.length === 0) return this.info(digest, { signal });
    const labels = checkedLabels(`content ${digest}`, changes);
    const request = { info: { digest: parseDigest(digest), labels }, updateMask: { paths } };
    const { info } = await this.#change((call) => this.#content.update(request, call), signal);
    return toBlobInfo(info);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#writers.values()].map((writer) => writer.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #forget(ref: string, writer: RemoteWriter): Promise<void> {
    await writer.ended;
    if (this.#writers.get(ref) === writer) this.#writers.delete(ref);
  }

  /** Containerd does not say which digest it expects. */
  #toldTo(status: IngestStatus): IngestStatus {
    const expected = status.expected ?? this.#writers.get(status.ref)?.status().expected;
    return { ...status, ...(expected === undefined ? {} : { expected }) };
  }

  async #ask<T>(call: (options: RequestOptions) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    this.#mustBeOpen();
    return this.#caller.ask(call, signal);
  }

  async #change<T>(call: (options: RequestOptions) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    this.#mustBeOpen();
    return this.#caller.change(call, signal);
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw this.#closed();
  }

  #closed(): CodedError {
    return new CodedError("ERR_FAILED_PRECONDITION", "content of containerd: is closed");
  }
}

function toBlobInfo(info: Info | undefined): BlobInfo {
  if (info === undefined) throw new CodedError("ERR_INTERNAL", "containerd: answered without a blob");
  const { digest, size, createdAt, updatedAt, labels } = info;
  return {
    digest: parseDigest(digest),
    size: toNumber(size),
    createdAt: toDate(createdAt),
    updatedAt: toDate(updatedAt),
    labels,
  };
}

function toStatus({ ref, offset, total, expected, startedAt, updatedAt }: Status): IngestStatus {
  return {
    ref,
    offset: toNumber(offset),
    ...(total === 0n ? {} : { total: toNumber(total) }),
    ...(expected === "" ? {} : { expected: parseDigest(expected) }),
    startedAt: toDate(startedAt),
    updatedAt: toDate(updatedAt),
  };
}
