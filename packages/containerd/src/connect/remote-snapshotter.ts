import type { CallOptions as RequestOptions, Client } from "@connectrpc/connect";
import { CodedError, hasCode } from "@varve/errors";
import type { Mount } from "@varve/mount";
import { snapshotFilter } from "@varve/snapshots";
import type {
  CallOptions,
  Cleaner,
  CreateOptions,
  LabelChanges,
  SnapshotInfo,
  SnapshotKind,
  Snapshotter,
  UpdateOptions,
  Usage,
  WalkOptions,
} from "@varve/snapshots";
import { Kind, Snapshots } from "../gen/containerd/services/snapshots/v1/snapshots_pb.js";
import type { Info } from "../gen/containerd/services/snapshots/v1/snapshots_pb.js";
import type { Mount as WireMount } from "../gen/containerd/types/mount_pb.js";
import { labelPaths } from "../wire/label-mask.ts";
import { toDate, toMount, toNumber } from "../wire/values.ts";
import type { Caller } from "./caller.ts";
import { checkedLabels } from "./checked-labels.ts";

/** A snapshotter of containerd's. What it does with the files of a snapshot that was removed, its garbage collection does later. */
export class RemoteSnapshotter implements Snapshotter, Cleaner {
  readonly #caller: Caller;
  readonly #snapshots: Client<typeof Snapshots>;
  readonly #name: string;
  #isClosed = false;

  constructor(caller: Caller, name: string) {
    this.#caller = caller;
    this.#snapshots = caller.client(Snapshots);
    this.#name = name;
  }

  async stat(name: string, { signal }: CallOptions = {}): Promise<SnapshotInfo> {
    this.#mustBeNamed(name);
    const request = { snapshotter: this.#name, key: name };
    const { info } = await this.#ask((options) => this.#snapshots.stat(request, options), signal);
    return toInfo(info);
  }

  async update(name: string, labels: LabelChanges, options: UpdateOptions = {}): Promise<SnapshotInfo> {
    const { replace = false, signal } = options;
    const paths = labelPaths(labels, replace);
    // Without a path containerd would replace them all.
    if (paths.length === 0) return this.stat(name, { signal });
    this.#mustBeNamed(name);
    const request = {
      snapshotter: this.#name,
      info: { name, labels: checkedLabels(`snapshot ${name}`, labels) },
      updateMask: { paths },
    };
    const { info } = await this.#change((call) => this.#snapshots.update(request, call), signal);
    return toInfo(info);
  }

  async usage(name: string, { signal }: CallOptions = {}): Promise<Usage> {
    this.#mustBeNamed(name);
    const request = { snapshotter: this.#name, key: name };
    const { size, inodes } = await this.#ask((options) => this.#snapshots.usage(request, options), signal);
    return { bytes: toNumber(size), inodes: toNumber(inodes) };
  }

  async mounts(key: string, { signal }: CallOptions = {}): Promise<readonly Mount[]> {
    this.#mustBeNamed(key);
    const request = { snapshotter: this.#name, key };
    const { mounts } = await this.#ask((options) => this.#snapshots.mounts(request, options), signal);
    return mounts.map(toMount);
  }

  async prepare(key: string, parent: string | undefined, options: CreateOptions = {}): Promise<readonly Mount[]> {
    return this.#create("prepare", key, parent, options);
  }

  async view(key: string, parent: string | undefined, options: CreateOptions = {}): Promise<readonly Mount[]> {
    return this.#create("view", key, parent, options);
  }

  async commit(name: string, key: string, { labels = {}, signal }: CreateOptions = {}): Promise<void> {
    mustBeText(name, "the name is empty");
    this.#mustBeNamed(key);
    const request = { snapshotter: this.#name, name, key, labels: checkedLabels(`snapshot ${name}`, labels) };
    try {
      await this.#change((options) => this.#snapshots.commit(request, options), signal);
    } catch (error) {
      // Some look for the files before they look at what is to be committed (the native one of 1.6).
      if (codeOf(error) !== "ENOENT") throw error;
      if (!(await this.#is(key, "active"))) throw this.#not(key, "active", error);
      throw new CodedError("ERR_DATA_LOSS", `snapshot ${key}: its files are gone`, { cause: error });
    }
  }

  async remove(name: string, { signal }: CallOptions = {}): Promise<void> {
    this.#mustBeNamed(name);
    const request = { snapshotter: this.#name, key: name };
    await this.#change((options) => this.#snapshots.remove(request, options), signal);
  }

  async *walk({ filters, signal }: WalkOptions = {}): AsyncGenerator<SnapshotInfo, void, undefined> {
    const isWanted = snapshotFilter(filters);
    this.#mustBeOpen();
    const request = { snapshotter: this.#name };
    for (const info of await this.#caller.list((options) => this.#snapshots.list(request, options), signal)) {
      signal?.throwIfAborted();
      const snapshot = toInfo(info);
      if (isWanted(snapshot)) yield snapshot;
    }
  }

  async cleanup({ signal }: CallOptions = {}): Promise<void> {
    try {
      await this.#change((options) => this.#snapshots.cleanup({ snapshotter: this.#name }, options), signal);
    } catch (error) {
      // Some have nothing to clean up, as containerd's own collection knows.
      if (!hasCode(error, "ERR_NOT_IMPLEMENTED")) throw error;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #create(
    call: "prepare" | "view",
    key: string,
    parent: string | undefined,
    { labels = {}, signal }: CreateOptions,
  ): Promise<Mount[]> {
    mustBeText(key, "the key is empty");
    // To containerd the empty text is no parent at all.
    if (parent !== undefined) this.#mustBeNamed(parent);
    const request = {
      snapshotter: this.#name,
      key,
      parent: parent ?? "",
      labels: checkedLabels(`snapshot ${key}`, labels),
    };
    try {
      const create = async (options: RequestOptions): Promise<readonly WireMount[]> =>
        (await this.#snapshots[call](request, options)).mounts;
      return (await this.#change(create, signal)).map(toMount);
    } catch (error) {
      // To containerd a parent that is not committed is a wrong argument, as many things are.
      if (parent === undefined || !hasCode(error, "ERR_INVALID_ARGUMENT")) throw error;
      throw (await this.#is(parent, "committed")) ? error : this.#not(parent, "committed", error);
    }
  }

  async #is(name: string, kind: SnapshotKind): Promise<boolean> {
    try {
      return (await this.stat(name)).kind === kind;
    } catch {
      // What went wrong first is what the caller has to know.
      return true;
    }
  }

  #not(name: string, kind: SnapshotKind, cause: unknown): CodedError {
    return new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${name}: is not ${kind}`, { cause });
  }

  async #ask<T>(call: (options: RequestOptions) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    this.#mustBeOpen();
    return this.#caller.ask(call, signal);
  }

  async #change<T>(call: (options: RequestOptions) => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    this.#mustBeOpen();
    return this.#caller.change(call, signal);
  }

  #mustBeNamed(name: string): void {
    if (name === "") throw new CodedError("ERR_NOT_FOUND", "snapshot: the empty name is none");
  }

  #mustBeOpen(): void {
    if (this.#isClosed) throw new CodedError("ERR_FAILED_PRECONDITION", `snapshotter ${this.#name}: is closed`);
  }
}

function mustBeText(text: string, why: string): void {
  if (text === "") throw new CodedError("ERR_INVALID_ARGUMENT", `snapshot: ${why}`);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

function toInfo(info: Info | undefined): SnapshotInfo {
  if (info === undefined) throw new CodedError("ERR_INTERNAL", "containerd: answered without a snapshot");
  const { name, parent, kind, labels, createdAt, updatedAt } = info;
  return {
    // As containerd's own client does with kinds it does not know.
    kind: kind === Kind.ACTIVE ? "active" : kind === Kind.VIEW ? "view" : "committed",
    name,
    ...(parent === "" ? {} : { parent }),
    labels,
    createdAt: toDate(createdAt),
    updatedAt: toDate(updatedAt),
  };
}
