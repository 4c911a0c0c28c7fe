import type { BlobInfo, BlobReader, ContentStore, IngestStatus, Writer } from "@varve/content";
import type { Digest } from "@varve/digest";
import { CodedError } from "@varve/errors";
import type { Mount } from "@varve/mount";
import type { Cleaner, SnapshotInfo, Snapshotter, Usage } from "@varve/snapshots";

type Hook = (call: string, id: string) => void | Promise<void>;

/** What a collector sees of a content store: things that are there, and go. `hook` may throw, or do something meanwhile. */
export class GcContent implements ContentStore {
  readonly blobs: Map<Digest, number> = new Map();
  readonly ingests: Map<string, IngestStatus> = new Map();
  hook: Hook = () => {};
  /** How often each call was made. */
  readonly calls: Map<string, number> = new Map();

  async *walk(): AsyncGenerator<BlobInfo, void, undefined> {
    await this.#enter("walk", "");
    const time = new Date(0);
    for (const [digest, size] of this.blobs) yield { digest, size, createdAt: time, updatedAt: time, labels: {} };
    await this.#enter("walked", "");
  }

  async *statuses(): AsyncGenerator<IngestStatus, void, undefined> {
    await this.#enter("statuses", "");
    yield* this.ingests.values();
  }

  async delete(digest: Digest): Promise<void> {
    await this.#enter("delete", digest);
    if (!this.blobs.delete(digest)) throw new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`);
    await this.#enter("deleted", digest);
  }

  async abort(ref: string): Promise<void> {
    await this.#enter("abort", ref);
    if (!this.ingests.delete(ref)) throw new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`);
    await this.#enter("aborted", ref);
  }

  async info(digest: Digest): Promise<BlobInfo> {
    const size = this.blobs.get(digest);
    if (size === undefined) throw new CodedError("ERR_NOT_FOUND", `content ${digest}: not found`);
    return { digest, size, createdAt: new Date(0), updatedAt: new Date(0), labels: {} };
  }

  async status(ref: string): Promise<IngestStatus> {
    const status = this.ingests.get(ref);
    if (status === undefined) throw new CodedError("ERR_NOT_FOUND", `ingest ${ref}: not found`);
    return status;
  }

  writer(): Promise<Writer> {
    return Promise.reject(new Error("not used"));
  }

  open(): Promise<BlobReader> {
    return Promise.reject(new Error("not used"));
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  async #enter(call: string, id: string): Promise<void> {
    this.calls.set(call, (this.calls.get(call) ?? 0) + 1);
    await this.hook(call, id);
  }
}

/** The same of a snapshotter; each snapshot takes 1000 bytes. */
export class GcSnapshotter implements Snapshotter, Cleaner {
  readonly entries: Map<string, SnapshotInfo> = new Map();
  readonly removed: string[] = [];
  cleanups = 0;
  hook: Hook = () => {};

  add(name: string, parent?: string, labels: Readonly<Record<string, string>> = {}): void {
    const time = new Date(0);
    this.entries.set(name, { kind: "committed", name, parent, labels, createdAt: time, updatedAt: time });
  }

  async stat(name: string): Promise<SnapshotInfo> {
    await this.hook("stat", name);
    const entry = this.entries.get(name);
    if (entry === undefined) throw new CodedError("ERR_NOT_FOUND", `snapshot ${name}: not found`);
    return entry;
  }

  async usage(name: string): Promise<Usage> {
    await this.stat(name);
    return { bytes: 1000, inodes: 1 };
  }

  async remove(name: string): Promise<void> {
    await this.hook("remove", name);
    await this.stat(name);
    for (const { parent } of this.entries.values()) {
      if (parent === name) throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${name}: is stood on`);
    }
    this.entries.delete(name);
    this.removed.push(name);
    await this.hook("removed", name);
  }

  async *walk(): AsyncGenerator<SnapshotInfo, void, undefined> {
    await this.hook("walk", "");
    for (const entry of Array.from(this.entries.values())) yield entry;
    await this.hook("walked", "");
  }

  async cleanup(): Promise<void> {
    await this.hook("cleanup", "");
    this.cleanups += 1;
  }

  update(): Promise<SnapshotInfo> {
    return Promise.reject(new Error("not used"));
  }

  mounts(): Promise<readonly Mount[]> {
    return Promise.reject(new Error("not used"));
  }

  prepare(): Promise<readonly Mount[]> {
    return Promise.reject(new Error("not used"));
  }

  view(): Promise<readonly Mount[]> {
    return Promise.reject(new Error("not used"));
  }

  commit(): Promise<void> {
    return Promise.reject(new Error("not used"));
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}
