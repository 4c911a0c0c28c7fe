import { CodedError } from "@varve/errors";
import type { Mount } from "@varve/mount";
import { labelTarget, snapshotFilter } from "@varve/snapshots";
import type {
  CallOptions,
  Checker,
  Cleaner,
  CreateOptions,
  LabelChanges,
  LayerPreparer,
  LayerRequest,
  PreparedLayer,
  Rebaser,
  SnapshotInfo,
  SnapshotKind,
  SnapshotProblem,
  Snapshotter,
  UpdateOptions,
  Usage,
  WalkOptions,
} from "@varve/snapshots";

/** A snapshotter that keeps its contract, but has only records: there is nothing to mount. */
export class FakeSnapshotter implements Snapshotter {
  readonly entries: Map<string, SnapshotInfo> = new Map();
  /** What was called, with the name it was called for. */
  readonly calls: string[] = [];
  /** What was asked for by `stat`. */
  readonly stats: Set<string> = new Set();
  /** The filters of each walk. */
  readonly walks: (readonly string[] | undefined)[] = [];
  /** Walks as it did before there were filters. */
  ignoresFilters = false;
  /** Awaited within a call, before it takes effect: `prepare`, `commit` … */
  readonly before: Map<string, () => Promise<void>> = new Map();
  /** Awaited after a call took effect. */
  readonly after: Map<string, () => Promise<void>> = new Map();
  /** Answers that it has what is prepared, if a snapshot of that target is committed, as remote snapshotters do. */
  isRemote = false;
  closed = 0;

  async stat(name: string, options: CallOptions = {}): Promise<SnapshotInfo> {
    options.signal?.throwIfAborted();
    this.stats.add(name);
    return this.#find(name);
  }

  async update(name: string, labels: LabelChanges, options: UpdateOptions = {}): Promise<SnapshotInfo> {
    await this.enter("update", name, options);
    const changed = new Map(options.replace === true ? [] : Object.entries(this.#find(name).labels));
    for (const [label, value] of Object.entries(labels)) {
      if (value === undefined) changed.delete(label);
      else changed.set(label, value);
    }
    const info = { ...this.#find(name), labels: Object.fromEntries(changed), updatedAt: later(this.#find(name)) };
    this.entries.set(name, info);
    return info;
  }

  async usage(name: string, options: CallOptions = {}): Promise<Usage> {
    options.signal?.throwIfAborted();
    this.#find(name);
    return { bytes: 0, inodes: 0 };
  }

  async mounts(key: string, options: CallOptions = {}): Promise<readonly Mount[]> {
    options.signal?.throwIfAborted();
    const { kind } = this.#find(key);
    if (kind !== "committed") return mountsOf(key, kind);
    throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${key}: is committed`);
  }

  prepare(key: string, parent: string | undefined, options: CreateOptions = {}): Promise<readonly Mount[]> {
    return this.#create("active", key, parent, options);
  }

  view(key: string, parent: string | undefined, options: CreateOptions = {}): Promise<readonly Mount[]> {
    return this.#create("view", key, parent, options);
  }

  async commit(name: string, key: string, options: CreateOptions = {}): Promise<void> {
    await this.enter("commit", name, options);
    this.#mustBeFree(name);
    const active = this.active(key);
    this.entries.delete(key);
    const info = infoOf("committed", name, active.parent, options);
    this.entries.set(name, { ...info, updatedAt: later(active) });
    await this.after.get("commit")?.();
  }

  async remove(name: string, options: CallOptions = {}): Promise<void> {
    await this.enter("remove", name, options);
    this.#find(name);
    for (const other of this.entries.values()) {
      if (other.parent === name) throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${name}: has children`);
    }
    this.entries.delete(name);
  }

  async *walk({ filters, signal }: WalkOptions = {}): AsyncGenerator<SnapshotInfo, void, undefined> {
    signal?.throwIfAborted();
    this.walks.push(filters);
    const matches = snapshotFilter(this.ignoresFilters ? [] : filters);
    yield* await Promise.resolve([...this.entries.values()].filter(matches));
  }

  async close(): Promise<void> {
    this.closed += 1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  active(key: string): SnapshotInfo {
    const entry = this.#find(key);
    if (entry.kind === "active") return entry;
    throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${key}: is ${entry.kind}, not active`);
  }

  committed(name: string): SnapshotInfo {
    const entry = this.#find(name);
    if (entry.kind === "committed") return entry;
    throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${name}: cannot be a parent: is ${entry.kind}`);
  }

  async #create(
    kind: SnapshotKind,
    key: string,
    parent: string | undefined,
    options: CreateOptions,
  ): Promise<readonly Mount[]> {
    await this.enter(kind === "view" ? "view" : "prepare", key, options);
    const target = options.labels?.[labelTarget];
    if (this.isRemote && target !== undefined && this.#has(target, parent)) {
      throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${key}: target ${target}: already exists`);
    }
    this.#mustBeFree(key);
    if (parent !== undefined) this.committed(parent);
    this.entries.set(key, infoOf(kind, key, parent, options));
    return mountsOf(key, kind);
  }

  async enter(call: string, name: string, { signal }: CallOptions): Promise<void> {
    signal?.throwIfAborted();
    this.calls.push(`${call} ${name}`);
    await this.before.get(call)?.();
    signal?.throwIfAborted();
  }

  #has(target: string, parent: string | undefined): boolean {
    const all = [...this.entries.values()];
    return all.some((one) => one.kind === "committed" && one.labels[labelTarget] === target && one.parent === parent);
  }

  #find(name: string): SnapshotInfo {
    const entry = this.entries.get(name);
    if (entry === undefined) throw new CodedError("ERR_NOT_FOUND", `snapshot ${name}: not found`);
    return entry;
  }

  #mustBeFree(name: string): void {
    if (this.entries.has(name)) throw new CodedError("ERR_ALREADY_EXISTS", `snapshot ${name}: already exists`);
  }
}

/** The same with every capability. */
export class AbleSnapshotter extends FakeSnapshotter implements Checker, Cleaner, LayerPreparer, Rebaser {
  /** How much it has of layers that nobody has brought, by target. */
  readonly layers: Map<string, "committed" | "staged"> = new Map();
  readonly #staged: Set<string> = new Set();
  /** What it finds. */
  readonly problems: SnapshotProblem[] = [];

  override async mounts(key: string, options: CallOptions = {}): Promise<readonly Mount[]> {
    const mounts = await super.mounts(key, options);
    return this.#staged.has(key) ? mounts.map((mount) => ({ ...mount, options: ["ro", "rbind"] })) : mounts;
  }

  async *check(options: CallOptions = {}): AsyncGenerator<SnapshotProblem, void, undefined> {
    options.signal?.throwIfAborted();
    this.calls.push("check");
    yield* await Promise.resolve(this.problems);
  }

  async prepareLayer({ key, parent, target }: LayerRequest, options: CreateOptions = {}): Promise<PreparedLayer> {
    await this.enter("prepareLayer", target, options);
    const state = this.layers.get(target) ?? "empty";
    if (state !== "committed") {
      await this.prepare(key, parent, options);
      if (state === "staged") this.#staged.add(key);
      return { state, mounts: await this.mounts(key) };
    }
    const name = `remote ${target} on ${parent ?? ""}`;
    if (parent !== undefined) this.committed(parent);
    if (!this.entries.has(name)) this.entries.set(name, infoOf(state, name, parent, options));
    return { state, name };
  }

  async cleanup(options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    this.calls.push("cleanup");
  }

  async rebase(key: string, parent: string, options: CallOptions = {}): Promise<readonly Mount[]> {
    options.signal?.throwIfAborted();
    await this.before.get("rebase")?.();
    const entry = this.active(key);
    this.committed(parent);
    if (entry.parent !== undefined && entry.parent !== parent) {
      throw new CodedError("ERR_INVALID_ARGUMENT", `snapshot ${key}: has another parent than ${parent}`);
    }
    this.entries.set(key, { ...entry, parent });
    return mountsOf(key, "active");
  }
}

/** When a snapshot was changed that was changed before. */
function later({ updatedAt }: SnapshotInfo): Date {
  return new Date(Math.max(Date.now(), updatedAt.getTime() + 1));
}

function mountsOf(key: string, kind: SnapshotKind): readonly Mount[] {
  const options = [kind === "view" ? "ro" : "rw", "rbind"];
  return [{ type: "bind", source: `/fake/${encodeURIComponent(key)}`, options }];
}

function infoOf(
  kind: SnapshotKind,
  name: string,
  parent: string | undefined,
  { labels = {} }: CreateOptions,
): SnapshotInfo {
  const now = new Date();
  return { kind, name, parent, labels: { ...labels }, createdAt: now, updatedAt: now };
}
