import { CodedError } from "@varve/errors";
import type { Mount } from "@varve/mount";
import { snapshotFilter } from "@varve/snapshots";
import type {
  CallOptions,
  CreateOptions,
  LabelChanges,
  SnapshotInfo,
  SnapshotKind,
  Snapshotter,
  UpdateOptions,
  Usage,
  WalkOptions,
} from "@varve/snapshots";

/** Keeps the contract, but has only records: there is nothing to mount. */
export class MemorySnapshotter implements Snapshotter {
  readonly entries: Map<string, SnapshotInfo> = new Map();
  /** Awaited within every call but `walk`, with its signal, before it takes effect. */
  before: (call: string, signal: AbortSignal | undefined) => Promise<void> = async () => undefined;

  async stat(name: string, { signal }: CallOptions = {}): Promise<SnapshotInfo> {
    await this.enter("stat", signal);
    return this.find(name);
  }

  async update(name: string, changes: LabelChanges, { replace, signal }: UpdateOptions = {}): Promise<SnapshotInfo> {
    await this.enter("update", signal);
    const before = this.find(name);
    const labels = { ...(replace === true ? {} : before.labels), ...changes };
    const kept = Object.entries(labels).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const info = { ...before, labels: Object.fromEntries(kept), updatedAt: new Date(before.updatedAt.getTime() + 1) };
    this.entries.set(name, info);
    return info;
  }

  async usage(name: string, { signal }: CallOptions = {}): Promise<Usage> {
    await this.enter("usage", signal);
    this.find(name);
    return { bytes: 2 ** 40, inodes: 3 };
  }

  async mounts(key: string, { signal }: CallOptions = {}): Promise<readonly Mount[]> {
    await this.enter("mounts", signal);
    if (this.find(key).kind !== "committed") return mountsOf(key);
    throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${key}: is committed`);
  }

  prepare(key: string, parent: string | undefined, options: CreateOptions = {}): Promise<readonly Mount[]> {
    return this.create("active", { key, parent }, options);
  }

  view(key: string, parent: string | undefined, options: CreateOptions = {}): Promise<readonly Mount[]> {
    return this.create("view", { key, parent }, options);
  }

  async commit(name: string, key: string, { labels = {}, signal }: CreateOptions = {}): Promise<void> {
    await this.enter("commit", signal);
    this.mustBeFree(name);
    const { kind, parent } = this.find(key);
    if (kind !== "active") throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${key}: is not active`);
    this.entries.delete(key);
    this.put({ kind: "committed", name, parent, labels });
  }

  async remove(name: string, { signal }: CallOptions = {}): Promise<void> {
    await this.enter("remove", signal);
    this.find(name);
    const child = [...this.entries.values()].find(({ parent }) => parent === name);
    if (child !== undefined)
      throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${name}: ${child.name} is on it`);
    this.entries.delete(name);
  }

  async *walk({ filters, signal }: WalkOptions = {}): AsyncIterable<SnapshotInfo> {
    const passes = snapshotFilter(filters);
    for (const info of this.entries.values()) {
      signal?.throwIfAborted();
      if (passes(info)) yield info;
    }
  }

  async close(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}

  /** Records a snapshot as it is said to be. */
  put(snapshot: Omit<SnapshotInfo, "createdAt" | "updatedAt">): void {
    const [createdAt, updatedAt] = [new Date(1_700_000_000_123), new Date(1_700_000_001_456)];
    this.entries.set(snapshot.name, { ...snapshot, createdAt, updatedAt });
  }

  protected async create(
    kind: SnapshotKind,
    { key, parent }: { readonly key: string; readonly parent: string | undefined },
    { labels = {}, signal }: CreateOptions,
  ): Promise<readonly Mount[]> {
    await this.enter(kind === "view" ? "view" : "prepare", signal);
    this.mustBeFree(key);
    if (parent !== undefined && this.find(parent).kind !== "committed") {
      throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${parent}: is not committed`);
    }
    this.put({ kind, name: key, parent, labels });
    return mountsOf(key);
  }

  protected find(name: string): SnapshotInfo {
    const info = this.entries.get(name);
    if (info !== undefined) return info;
    throw new CodedError("ERR_NOT_FOUND", `snapshot ${name}: not found`);
  }

  protected mustBeFree(name: string): void {
    if (name === "") throw new CodedError("ERR_INVALID_ARGUMENT", "snapshot: its name is empty");
    if (this.entries.has(name)) throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${name}: already exists`);
  }

  protected async enter(call: string, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    await this.before(call, signal);
  }
}

function mountsOf(key: string): readonly Mount[] {
  return [{ type: "bind", source: `/snapshots/${key}`, options: ["rw", "rbind"] }];
}
