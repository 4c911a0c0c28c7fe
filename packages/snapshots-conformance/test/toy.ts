import { chmodSync, mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { CodedError } from "@varve/errors";
import type { Mount } from "@varve/mount";
import { snapshotFilter } from "@varve/snapshots";
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
import { copyInto, copyTree, measure, mountsOf } from "./toy-files.ts";
import { mapOwners } from "./toy-ids.ts";
import { checkLabels, infoOf, later } from "./toy-place.ts";
import { ToyRecords } from "./toy-records.ts";

/** What every toy has without being given it. */
export const toyLayers = {
  committed: { target: "sha256:committed", labels: { "example.org/say": "please" }, file: "brought" },
  staged: { target: "sha256:staged", file: "brought" },
};

/**
 * A snapshotter that copies with cp(1), remembers in memory, and leaves the files of what was removed where they are.
 * It keeps the contract; the saboteurs break it.
 */
export class Toy extends ToyRecords implements Snapshotter, Cleaner, Checker, Rebaser, LayerPreparer {
  async stat(name: string, options: CallOptions = {}): Promise<SnapshotInfo> {
    options.signal?.throwIfAborted();
    return infoOf(this.entry(name));
  }

  async update(name: string, labels: LabelChanges, options: UpdateOptions = {}): Promise<SnapshotInfo> {
    options.signal?.throwIfAborted();
    const entry = this.entry(name);
    checkLabels(labels);
    const changed = new Map(options.replace === true ? [] : Object.entries(entry.labels));
    for (const [label, value] of Object.entries(labels)) {
      if (value === undefined) changed.delete(label);
      else changed.set(label, value);
    }
    entry.labels = Object.fromEntries(changed);
    entry.updatedAt = later(entry.updatedAt);
    return infoOf(entry);
  }

  async usage(name: string, options: CallOptions = {}): Promise<Usage> {
    options.signal?.throwIfAborted();
    const entry = this.entry(name);
    if (entry.kind === "view") return { bytes: 0, inodes: 0 };
    return entry.usage ?? measure(entry.directory);
  }

  async mounts(key: string, options: CallOptions = {}): Promise<readonly Mount[]> {
    options.signal?.throwIfAborted();
    const entry = this.entry(key);
    if (entry.kind === "committed") throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${key}: is committed`);
    return mountsOf(entry);
  }

  async prepare(key: string, parent: string | undefined, options: CreateOptions = {}): Promise<readonly Mount[]> {
    return this.create("active", key, { ...options, parent });
  }

  async view(key: string, parent: string | undefined, options: CreateOptions = {}): Promise<readonly Mount[]> {
    return this.create("view", key, { ...options, parent });
  }

  async create(
    kind: SnapshotKind,
    key: string,
    options: CreateOptions & { readonly parent: string | undefined },
  ): Promise<readonly Mount[]> {
    const { parent, labels = {}, signal } = options;
    checkLabels(labels);
    const mappings = this.mappings(labels);
    signal?.throwIfAborted();
    const kept = { ...labels };
    await turn();
    signal?.throwIfAborted();
    this.mustBeFree(key);
    const below = parent === undefined ? undefined : this.committed(parent);
    this.place.next += 1;
    const directory = join(this.place.root, String(this.place.next));
    mkdirSync(directory);
    chmodSync(directory, 0o755);
    utimesSync(directory, 0, 0);
    if (below !== undefined) await copyTree(below.directory, directory);
    if (mappings !== undefined) mapOwners(directory, mappings);
    // Others have gone on meanwhile.
    signal?.throwIfAborted();
    this.mustBeFree(key);
    if (parent !== undefined) this.committed(parent);
    const now = new Date();
    const times = { createdAt: now, updatedAt: now };
    this.place.entries.set(key, { kind, name: key, parent, labels: kept, ...times, directory, usage: undefined });
    return mountsOf(this.entry(key));
  }

  async commit(name: string, key: string, options: CreateOptions = {}): Promise<void> {
    const { labels = {}, signal } = options;
    signal?.throwIfAborted();
    checkLabels(labels);
    await turn();
    signal?.throwIfAborted();
    this.mustBeFree(name);
    const entry = this.active(key);
    if (this.problem(entry) !== undefined) throw new CodedError("ERR_DATA_LOSS", `snapshot ${key}: files are gone`);
    const mappings = this.mappings(entry.labels);
    if (mappings !== undefined) mapOwners(entry.directory, mappings, true);
    const updatedAt = later(entry.updatedAt);
    const known = { usage: measure(entry.directory), fingerprint: this.fingerprint(entry) };
    this.place.entries.delete(key);
    this.place.entries.set(name, { ...entry, name, kind: "committed", labels: { ...labels }, updatedAt, ...known });
  }

  async remove(name: string, options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    this.entry(name);
    for (const other of this.place.entries.values()) {
      if (other.parent === name) throw new CodedError("ERR_FAILED_PRECONDITION", `snapshot ${name}: has children`);
    }
    this.place.entries.delete(name);
  }

  async *walk(options: WalkOptions = {}): AsyncIterable<SnapshotInfo> {
    options.signal?.throwIfAborted();
    yield* Array.from(this.place.entries.values(), infoOf).filter(snapshotFilter(options.filters));
  }

  async cleanup(options: CallOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    await turn();
    options.signal?.throwIfAborted();
    for (const [name, entry] of this.place.entries) {
      if (entry.kind !== "committed" && this.problem(entry) === "missing") this.place.entries.delete(name);
    }
  }

  async *check(options: CallOptions = {}): AsyncIterable<SnapshotProblem> {
    options.signal?.throwIfAborted();
    for (const entry of Array.from(this.place.entries.values())) {
      const kind = this.problem(entry);
      if (kind !== undefined) yield { name: entry.name, kind, message: `${entry.directory} is ${kind}` };
    }
  }

  async rebase(key: string, parent: string, options: CallOptions = {}): Promise<readonly Mount[]> {
    options.signal?.throwIfAborted();
    await turn();
    options.signal?.throwIfAborted();
    const entry = this.active(key);
    const below = this.committed(parent);
    if (entry.parent === undefined) {
      copyInto(below.directory, entry.directory, true);
      entry.parent = parent;
    } else if (entry.parent !== parent) {
      throw new CodedError("ERR_INVALID_ARGUMENT", `snapshot ${key}: has another parent`);
    }
    return mountsOf(entry);
  }

  async prepareLayer(request: LayerRequest, options: CreateOptions = {}): Promise<PreparedLayer> {
    const { key, parent, target } = request;
    const known = target === toyLayers.committed.target && options.labels?.["example.org/say"] === "please";
    const name = `${target} on ${parent}`;
    if (known && this.place.entries.has(name)) return { state: "committed", name };
    const mounts = await this.prepare(key, parent, options);
    if (!known && target !== toyLayers.staged.target) return { state: "empty", mounts };
    writeFileSync(join(this.entry(key).directory, "brought"), "");
    if (!known) {
      this.entry(key).isStaged = true;
      return { state: "staged", mounts: await this.mounts(key) };
    }
    await this.commit(name, key);
    return { state: "committed", name };
  }

  async close(): Promise<void> {
    // Nothing is held.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
